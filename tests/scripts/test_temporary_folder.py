"""A folder for temporary files whose name TensorFlow takes for a pattern, through what uses one."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac import literal_paths
from deeplab_ksac.experiment import Views
from deeplab_ksac.prediction import scores
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.scripts import evaluate, export
from deeplab_ksac.training import loop, strategy
from tests.deeplab_ksac.fake_model import random_images
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT, trained_run
from tests.scripts.parsing import flags_of

NAMES = ("tmp [x]", "tmp *?", "a b\\c", "ü ñ 目", "[", "x]")
ALL = "tmp [x] *? b\\c ü"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run [lr=0.1]")) as place:
        yield place


def use(folder, monkeypatch):
    """Makes a folder the system's for temporary files, of this process and of those that it starts."""
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    return use(tmp_path / ALL, monkeypatch)


def left_in(folder):
    """What is left there, but for what TensorFlow keeps until the process ends."""
    return [path.name for path in folder.iterdir() if "autograph" not in path.name]


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_written_and_read_below_any_folder(name, tmp_path, monkeypatch):
    temporary = use(tmp_path / name, monkeypatch)
    (temporary / "run").mkdir()
    with literal_paths.literal(temporary / "run" / "ckpt-1") as prefix:
        tf.train.Checkpoint(step=tf.Variable(7)).write(prefix)
    assert (temporary / "run" / "ckpt-1.index").is_file()
    with literal_paths.literal(str(temporary / "run" / "ckpt-1")) as prefix:
        assert tf.train.load_variable(prefix, "step/.ATTRIBUTES/VARIABLE_VALUE") == 7
    assert left_in(temporary) == ["run"]


def test_a_run_is_trained_continued_and_evaluated(temporary, place, tmp_path):
    workdir = tmp_path / "run [1]"
    options = {"data_dir": place / "data", "strategy": strategy.create_strategy("one_device")}
    keras.utils.set_random_seed(0)
    assert 0 <= loop.train(EXPERIMENT, workdir=workdir, **options)["miou"] <= 1
    assert loop.train(EXPERIMENT, workdir=workdir, **options) is None
    assert evaluate.run(flags_of(evaluate, workdir=workdir, data_dir=place / "data", sheet=0)) == 0
    assert not left_in(temporary)


@pytest.mark.parametrize("form", ["saved_model", "tflite", "onnx"])
def test_a_run_is_exported_and_a_file_is_checked(temporary, place, tmp_path, form):
    output = tmp_path / ("served" if form == "saved_model" else f"served.{form}")
    one_view = {"scales": (1.0,), "flip": False}
    given = {"workdir": place / "workdir", "output": output, "format": form, "check": form == "tflite"}
    assert export.run(flags_of(export, **given, **one_view)) == 0
    if form == "tflite":
        image = random_images(1, 33, 41)
        interpreter = tf.lite.Interpreter(model_path=str(output))
        interpreter.resize_tensor_input(0, image.shape)
        found = interpreter.get_signature_runner()(image=image.astype("uint8"))["probabilities"]
        expected = scores.predict_probabilities(load_model(place / "workdir").model, image, Views())
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not left_in(temporary)


def test_where_there_is_no_place_at_all_it_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "tmp [x]"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(literal_paths, "TEMPORARY", (str(tmp_path / "none"),))
    words = r"tmp \[x\], the folder for temporary files, .*; set TMPDIR to another"
    with pytest.raises(OSError, match=words), literal_paths.temporary_folder("a_"):
        pytest.fail("there is one")


def test_a_plain_path_is_taken_as_it_is(tmp_path):
    with literal_paths.literal(f"{tmp_path}/ckpt-4") as path:
        assert path == f"{tmp_path}/ckpt-4" or literal_paths.is_pattern(tmp_path)
