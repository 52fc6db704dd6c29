"""Whatever the files of a saved model hold, a command predicts or ends with status 1 and one line."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplab_ksac.models.files import FILES, MODEL_FILE, WEIGHTS_FILE
from deeplab_ksac.models.folder import save_model
from deeplab_ksac.scripts import predict
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests.deeplab_ksac.models.examples import SPECS, trained_model
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.scripts.parsing import flags_of
from tests.scripts.test_damaged_json import changed, places

LEAVES = st.one_of(  # no number between, of channels that would take all of the memory
    st.none(),
    st.booleans(),
    st.integers(-9, 99),
    st.floats(),
    st.text(max_size=5),
    st.just(10**400),
    st.just("\x1b[2J\n"),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A saved model, and a picture."""
    place = tmp_path_factory.mktemp("model")
    Image.fromarray(np.zeros([33, 40, 3], np.uint8)).save(place / "a.png")
    with tiny_backbone_known():
        save_model(trained_model(SPECS["ocr"], card="about"), place / "saved")
        yield place


@st.composite
def damaged(draw, folder):
    """(name of a file, what it holds; None where it is missing)."""
    name = draw(st.sampled_from(FILES))
    right = (folder / name).read_bytes()
    kind = draw(st.sampled_from(["value", "value", "field", "bytes", "cut", "flipped", "missing"]))
    if kind in ("value", "field"):
        name, content = MODEL_FILE, json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        path = draw(st.sampled_from(list(places(content))))
        if kind == "field":
            return name, json.dumps({**content, draw(st.text(max_size=8)): draw(VALUES)}).encode()
        return name, json.dumps(changed(content, path, draw(VALUES))).encode()
    if kind == "bytes":
        return name, draw(st.binary(max_size=20))
    if kind == "cut":
        return name, right[: draw(st.integers(0, len(right) - 1))]
    if kind == "flipped":
        number = draw(st.integers(0, len(right) - 1))
        return name, right[:number] + bytes([right[number] ^ (1 << draw(st.integers(0, 7)))]) + right[number + 1 :]
    return name, None


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_of_a_model_is_one_line(data, place, tmp_path):
    name, content = data.draw(damaged(place / "saved"))
    model, output = tmp_path / "model", tmp_path / "output"
    for folder in (model, output):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "saved", model)
    (model / name).unlink()
    if content is not None:
        (model / name).write_bytes(content)
    flags = flags_of(predict, model=str(model), images=str(place / "a.png"), output_dir=str(output))
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = exit_status(lambda: predict.run(flags), name="predict")
    text = said.getvalue()
    if status == 1:
        assert text.startswith("predict: ") and text.count("\n") == 1 and text[:-1].isprintable()
        assert not [path for path in output.rglob("*") if path.is_file()]
    else:
        assert status == 0 and name != WEIGHTS_FILE
