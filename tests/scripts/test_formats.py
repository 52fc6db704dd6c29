"""`ksac formats`: what it refuses; that its table is right is a test of the library."""

import copy
import json
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.scripts import formats
from tests.scripts.damage import FEW, ended
from tests.scripts.test_damaged_json import damaged_object

RUN = {"difference": 1e-8, "allowed": 1e-5}
RECORD = {
    "parameters": 10,
    "versions": "TensorFlow 2.15.1",
    "formats": {
        "saved_model": {"bytes": 1000, "sizes": "any", "refused": None, "saved_model": RUN},
        "onnx": {"bytes": 900, "sizes": "any", "refused": None, "onnx": {"error": "no"}},
        "tflite": {"bytes": 800, "sizes": "one", "refused": "why", "tflite": RUN, "litert": RUN},
    },
}


def test_a_network_that_there_is_not_is_one_line(tmp_path):
    given = {"networks": ["head/ksak"], "results": str(tmp_path / "a.json"), "output": None, "try_one": None}
    with pytest.raises(ValueError, match=r"--networks: there is no 'head/ksak'; there are backbone/convnext, "):
        formats.run(types.SimpleNamespace(**given))
    assert not list(tmp_path.iterdir())


@settings(FEW, max_examples=60)
@given(st.data())
def test_damaged_records_are_one_line_and_stay_as_they_are(tmp_path, data):
    results, output = tmp_path / "a.json", tmp_path / "a.md"
    output.unlink(missing_ok=True)
    content = data.draw(damaged_object({"head/ksac": copy.deepcopy(RECORD)}))
    results.write_bytes(content)
    given = types.SimpleNamespace(networks=["head/fcn"], results=str(results), output=str(output), try_one=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "tried_apart", lambda *_: {"failed": "not tried"})
        status, lines = ended(lambda: formats.run(given), "formats")
    assert output.exists() == (status == 0)
    if status == 1:
        assert "a.json" in lines[0] and results.read_bytes() == content
    else:
        assert json.loads(results.read_text())["head/fcn"] == {"failed": "not tried"}
