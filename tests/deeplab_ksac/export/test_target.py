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


@pytest.mark.parametrize("name", ["net", "n" * 245])  # with .classes.json behind it, longer than a name may be
def test_a_class_list_that_cannot_be_written_is_told_before_the_work(name, model, tmp_path):
    if name == "net":
        (tmp_path / "net.classes.json").mkdir()
    before = sorted(tmp_path.iterdir())
    with (
        pytest.raises(OSError, match=r"\.classes\.json (is a folder|cannot be written)"),
        export_target(tmp_path / f"{name}.onnx", info=INFO, model=model, overwrite=True),
    ):
        raise AssertionError("the work was begun")
    assert sorted(tmp_path.iterdir()) == before


def test_no_model_is_there_without_its_class_list(model, tmp_path):
    path = tmp_path / "net.onnx"
    with (
        pytest.raises(OSError, match=r"net\.classes\.json cannot be written"),
        export_target(path, info=INFO, model=model) as target,
    ):
        target.partial.write_bytes(b"a model")
        (tmp_path / "net.classes.json").mkdir()  # as if the disk were full by now
    assert list(tmp_path.iterdir()) == [tmp_path / "net.classes.json"]


def test_so_it_is_in_an_object_store(model):
    with ram() as address:
        check_class_lists(model, place(address))
