"""Where an exported file goes, and the list of its classes beside it."""

import dataclasses
import json

import pytest

from deeplab_ksac.export.target import export_target
from deeplab_ksac.storage import place
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info
from tests.stores import ram

INFO = fake_info()
OTHERS = dataclasses.replace(INFO, class_names=tuple(f"other {k}" for k in range(5)))


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


def export(model, path, info, **options):
    with export_target(path, info=info, model=model, **options) as target:
        target.partial.write_bytes(b"a model")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check_class_lists(model, folder):
    export(model, folder / "net.onnx", INFO)
    before = content(folder)
    with pytest.raises(FileExistsError) as raised:
        export(model, folder / "net.tflite", OTHERS)
    assert str(raised.value) == (
        f"{folder}/net.classes.json exists and does not say what it would say of net.tflite, so it is another model's; "
        "choose another output, or allow overwriting (--overwrite)"
    )
    assert content(folder) == before
    export(model, folder / "net.tflite", INFO)
    assert content(folder) == {**before, "net.tflite": b"a model"}
    export(model, folder / "other.onnx", OTHERS)
    export(model, folder / "net.onnx", OTHERS, overwrite=True)
    assert json.loads((folder / "net.classes.json").read_text())["class_names"] == list(OTHERS.class_names)


def test_the_class_list_of_another_model_is_replaced_only_where_that_is_allowed(model, tmp_path):
    check_class_lists(model, tmp_path)


def test_so_it_is_in_an_object_store(model):
    with ram() as address:
        check_class_lists(model, place(address))
