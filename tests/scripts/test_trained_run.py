"""A run's folder through evaluate, predict and export: the scripts as their users call them, on a real workdir."""

import csv
import dataclasses
import gc
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac import storage
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.web_page import RUNTIME_FILES
from deeplab_ksac.prediction import scores
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs import following as watch
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import keep_if_best
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model
from deeplab_ksac.runs.workdir import claim_workdir, read_workdir
from deeplab_ksac.scripts import evaluate, export, predict
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests.deeplab_ksac.fake_model import random_images
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT, NAMES, SIZES, checkpoints_of, literal_matrix, trained_run
from tests.places import ROOT
from tests.scripts.parsing import flags_among, flags_of
from tests.stores import ram

WATCH = {"timeout": 60.0, "interval": 0.05}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        yield place


@pytest.fixture(scope="module")
def model(place):
    """The run's model."""
    return load_model(place / "workdir").model


@pytest.mark.parametrize(
    ("flags", "views", "name"),
    [
        ({"boundary": 2.0}, Views(), "eval_tiny_val"),
        ({"scales": (0.5,), "flip": True}, Views((0.5,), flip=True), "eval_tiny_val_ms0.5_flip"),
    ],
)
def test_evaluate_writes_the_figures_of_the_raw_images(place, model, capsys, flags, views, name):
    assert evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=place / "data", **flags)) == 0
    result = json.loads((place / "workdir" / f"{name}.json").read_text(encoding="utf-8"))
    matrix = literal_matrix(model, place, views)
    assert result["pixels"] == matrix.sum() and result["images"] == 3
    assert result["pixel_accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
    assert (result["step"], result["class_names"]) == (7, list(NAMES))
    assert ("boundary_f_score" in result) == ("boundary" in flags)
    with (place / "workdir" / f"{name}.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == [*NAMES, "mean"]
    assert float(rows[-1]["IoU"]) == pytest.approx(result["miou"], abs=1e-6)
    for picture in (f"{name}.png", f"{name}_confusion.png"):
        with Image.open(place / "workdir" / picture) as sheet:
            assert sheet.size[0] > 300
    assert "mIoU" in capsys.readouterr().out


def test_watch_evaluates_each_checkpoint_that_comes_and_ends_with_the_run(place, model, tmp_path, monkeypatch, capsys):
    stage = dataclasses.replace(EXPERIMENT.stages[0], steps=20)
    claim_workdir(tmp_path, dataclasses.replace(EXPERIMENT, stages=(stage,)), read_workdir(place / "workdir")[1])
    run = checkpoints_of(model, tmp_path)
    weight, steps, accuracies = model.weights[-1], [7, 20], []
    kept = weight.numpy()

    def train(seconds):
        weight.assign(kept[::-1] if len(steps) == 1 else kept)
        run.save(steps.pop(0))
        matrix = literal_matrix(model, place)
        accuracies.append(np.trace(matrix) / matrix.sum())

    monkeypatch.setattr(watch.time, "sleep", train)  # the run goes on while nothing new is there
    try:
        assert evaluate.run(flags_of(evaluate, workdir=tmp_path, data_dir=place / "data", watch=True, **WATCH)) == 0
    finally:
        weight.assign(kept)
    lines = [json.loads(line) for line in (tmp_path / "eval_tiny_val.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [7, 20]
    assert [line["pixel_accuracy"] for line in lines] == pytest.approx(accuracies)
    assert "waiting: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("own", "flags", "served"),
    [
        (Views((0.5,), flip=True, window=(65, 65)), {}, Views((0.5,))),
        (Views((0.5,)), {"scales": (0.75, 1.0), "flip": True}, Views((0.75, 1.0), flip=True)),
        (Views((0.5, 1.5)), {}, Views((1.0,))),  # of which each would cost a pass
    ],
)
def test_an_export_sees_pictures_at_the_scale_that_the_run_was_evaluated_at(own, flags, served):
    assert export.served_views(flags_of(export, workdir="run", output="served", **flags), own) == served


def test_watch_without_any_checkpoint_ends_after_the_timeout_in_words(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint came within 0\.1 seconds"):
        evaluate.run(
            flags_of(evaluate, workdir=tmp_path / "none", data_dir=tmp_path, watch=True, **{**WATCH, "timeout": 0.1})
        )
    with pytest.raises(ValueError, match="cannot be given a --checkpoint"):
        evaluate.run(flags_of(evaluate, workdir=tmp_path, data_dir=tmp_path, watch=True, checkpoint=3))


def test_evaluate_refuses_another_data_sets_classes_and_an_unknown_split(place, tmp_path):
    shutil.copytree(place / "raw", tmp_path / "raw")
    (tmp_path / "raw" / "classes.txt").write_text("sky\nroad\nslug\n")
    write_records("folder", tmp_path / "raw", tmp_path / "data", dataset_name="other")
    with pytest.raises(ValueError, match="class 2 is 'snail' in the model and 'slug' in the data"):
        evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=tmp_path / "data", dataset="other/val"))
    with pytest.raises(ValueError, match=r"tiny has no split 'test' .*\(splits: train, val\)"):
        evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=place / "data", dataset="tiny/test"))


def test_predict_goes_on_after_an_unreadable_image_and_says_so(place, model, tmp_path, capsys):
    shutil.copytree(place / "raw" / "images" / "val", tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    flags = flags_of(
        predict, workdir=place / "workdir", images=str(tmp_path / "photos"), output_dir=str(tmp_path / "out")
    )
    assert predict.run(flags) == 1
    assert "broken.jpg: cannot identify" in capsys.readouterr().err
    for number, size in enumerate(SIZES["val"]):
        with Image.open(tmp_path / "out" / "index" / f"{number}.png") as index:
            image = random_images(1, *size, seed=number)
            np.testing.assert_array_equal(np.asarray(index), scores.predict_classes(model, image)[0])


def test_evaluate_and_predict_compute_in_the_precision_that_is_asked_for(place, tmp_path, capsys):
    flags = {"workdir": place / "workdir", "output_dir": str(tmp_path / "out"), "precision": "bfloat16"}
    assert evaluate.run(flags_of(evaluate, data_dir=place / "data", sheet=0, **flags)) == 0
    assert json.loads((tmp_path / "out" / "eval_tiny_val_bfloat16.json").read_text())["precision"] == "bfloat16"
    images = place / "raw" / "images" / "val"
    assert predict.run(flags_of(predict, images=str(images), kinds=["probabilities"], **flags)) == 0
    assert capsys.readouterr().err.count(", bfloat16, on ") == 2
    predictor = Predictor.load(place / "workdir", precision="bfloat16")
    with Image.open(images / "0.png") as image, np.load(tmp_path / "out" / "probabilities" / "0.npz") as found:
        probabilities = found["probabilities"]
        expected = predictor.probabilities(np.asarray(image)).astype(probabilities.dtype)
        np.testing.assert_array_equal(probabilities, expected)


def test_predictions_do_not_replace_the_pictures_they_are_of(place, tmp_path):
    shutil.copytree(place / "raw" / "images" / "val", tmp_path / "out" / "index")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "index").iterdir()}
    for images in (tmp_path / "out" / "index", tmp_path / "link"):
        if not images.exists():
            images.symlink_to(tmp_path / "out" / "index")
        flags = flags_of(
            predict, workdir=place / "workdir", images=str(images), output_dir=str(tmp_path / "out"), overwrite=True
        )
        with pytest.raises(FileExistsError, match=r"out/index cannot be written to: it holds .*, which is read"):
            predict.run(flags)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "index").iterdir()} == before


def test_a_model_is_not_exported_over_its_run_nor_where_tensorflow_could_not_load_it(place, tmp_path):
    output = tmp_path / "served"
    shutil.copytree(place / "workdir", output / "run")
    (output / "saved_model.pb").touch()
    flags = {"flip": False, "overwrite": True}
    with pytest.raises(FileExistsError, match=r"served cannot be written to: it holds .*run, which is read"):
        export.run(flags_of(export, workdir=output / "run", output=output, **flags))
    with pytest.raises(ValueError, match=r"has '\[' in it, which TensorFlow takes for a pattern"):
        export.run(flags_of(export, workdir=place / "workdir", output=tmp_path / "a [1]" / "served", **flags))
    assert (output / "run" / "experiment.json").is_file() and not (tmp_path / "a [1]").exists()


@pytest.mark.parametrize("name", ["evaluate", "predict", "export"])
def test_a_run_whose_model_was_changed_is_one_line(place, tmp_path, capfd, name):
    shutil.copytree(place / "workdir", tmp_path / "run")
    path = tmp_path / "run" / "experiment.json"
    content = json.loads(path.read_text())
    content["model"]["head"]["args"]["filters"] = 9
    path.write_text(json.dumps(content))
    script = {"evaluate": evaluate, "predict": predict, "export": export}[name]
    flags = flags_among(
        script,
        **{"workdir": tmp_path / "run", "data_dir": place / "data", "images": str(place / "raw/images/val/0.png")},
        **{"output_dir": str(tmp_path / "out"), "output": str(tmp_path / "served")},
        **({"flip": False} if name == "export" else {}),
    )
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert exit_status(lambda: script.run(flags), name=name) == 1
    gc.collect()  # TensorFlow's warnings come with the end of what it has read
    told = capfd.readouterr().err
    words = (
        r"ckpt-7 is a checkpoint of a model other than the one built here: \d+ of \d+ have another shape, the first "
    )
    assert re.fullmatch(rf"{name}: \S+{words}head/.*: \[1, 1, 4, 8\] there, \[1, 1, 4, 9\] here\n", told)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    assert not (tmp_path / "served").exists() and not (tmp_path / "out" / "index").exists()


def test_the_exported_model_predicts_like_the_loaded_one(place, model, tmp_path, capsys):
    output = tmp_path / "served"
    assert export.run(flags_of(export, workdir=place / "workdir", output=output, flip=False)) == 0
    assert str(output) in capsys.readouterr().out
    image = random_images(2, 30, 41)
    served = tf.saved_model.load(str(output))(tf.constant(image, tf.uint8))["probabilities"]
    expected = scores.predict_probabilities(model, image)
    np.testing.assert_allclose(served, expected, atol=1e-5)  # float32 through a few layers, of numbers up to 1
    told = json.loads((output / "assets.extra" / "classes.json").read_text(encoding="utf-8"))
    assert told["class_names"] == list(NAMES)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"format": "tflite"}, r"--output=.*served must end in \.tflite"),
        ({"size": (33, 33)}, "--size is for --format=tflite, not for saved_model"),
        ({"runtime": "dist"}, "--runtime is for --format=web, not for saved_model"),
        ({"format": "web", "quantize": "int8"}, "--quantize=int8 is for --format=tflite, not for web"),
        ({"representative": "tiny/train"}, "--representative is for --quantize=int8"),
        ({"format": "onnx", "precision": "float16"}, "--precision=float16 is for --format=saved_model, not for onnx"),
        ({"averaged": True}, "has no moving averages"),
    ],
)
def test_export_refuses_what_does_not_go_together(place, tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        export.run(flags_of(export, workdir=place / "workdir", output=tmp_path / "served", flip=False, **flags))
    (tmp_path / "taken.onnx").touch()
    with pytest.raises(FileExistsError, match=r"taken\.onnx exists; choose another output"):
        export.run(flags_of(export, workdir=tmp_path, output=tmp_path / "taken.onnx", format="onnx", flip=False))


INT8 = {"format": "tflite", "quantize": "int8", "representative": "tiny/train", "flip": False}


@pytest.mark.parametrize("size", [None, (33, 33)])
def test_int8_is_told_beside_float32(place, tmp_path, capsys, size, monkeypatch):
    monkeypatch.setattr(export, "LARGEST_COST", -100 if size else 100)
    output = tmp_path / "a.tflite"
    flags = flags_of(export, workdir=place / "workdir", data_dir=place / "data", output=output, size=size, **INT8)
    assert export.run(flags) == 0
    told = capsys.readouterr()
    first, second = told.out.splitlines()
    costly = re.findall(r"^export: +[\d.]+%  (.+)$", told.err, re.MULTILINE)
    names = {layer.name for layer in load_model(place / "workdir").model.layers}
    assert len(costly) == (export.COSTLY_LAYERS if size else 0)
    assert {name.partition("/")[0] for name in costly} <= names
    assert first.startswith(f"tflite: {output} (")
    assert re.fullmatch(
        r"mIoU in % on 3 of the 3 pictures of tiny/val: [\d.]+ float32, [\d.]+ int8 \([+-][\d.]+\)", second
    )


def test_int8_of_a_file_in_an_object_store_is_told_too(place, capsys):
    with ram() as address:
        flags = flags_of(
            export, workdir=place / "workdir", data_dir=place / "data", output=f"{address}/a.tflite", count=1, **INT8
        )
        assert export.run(flags) == 0
        first, second = capsys.readouterr().out.splitlines()
        size = storage.place(f"{address}/a.tflite").stat().st_size
    assert first == f"tflite: {address}/a.tflite ({size / 1e6:.1f} MB, step 7, scale 1)" and size > 1000
    assert second.startswith("mIoU in % on 3 of the 3 pictures of tiny/val: ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"representative": None}, "--quantize=int8 needs --representative=name/split and --data_dir"),
        ({"data_dir": None}, "--quantize=int8 needs --representative=name/split and --data_dir"),
        ({"representative": "tiny"}, "--representative must be name/split, such as mine/train, not 'tiny'"),
        ({"dataset": "tiny"}, "--dataset must be name/split, such as mine/train, not 'tiny'"),
        ({"representative": "tiny/test"}, "tiny has no split 'test'"),
        ({"dataset": "tiny/test"}, "tiny has no split 'test'"),
    ],
)
def test_what_int8_lacks_is_one_line_before_anything_is_written(place, tmp_path, flags, message):
    usual = {**INT8, "data_dir": place / "data", "workdir": place / "workdir", "output": tmp_path / "a.tflite"}
    with pytest.raises(ValueError, match=message):
        export.run(flags_of(export, **{**usual, **flags}))
    assert not list(tmp_path.iterdir())


def test_a_page_is_exported_with_the_runtime_that_the_flag_names(place, tmp_path, capsys):
    flags = {"flip": False, "format": "web", "runtime": str(tmp_path)}
    with pytest.raises(FileNotFoundError, match=r"has no ort.* npm install onnxruntime-web@"):
        export.run(flags_of(export, workdir=tmp_path / "none", output=tmp_path / "page", **flags))
    for name in RUNTIME_FILES:
        (tmp_path / name).write_text(name)
    assert export.run(flags_of(export, workdir=place / "workdir", output=tmp_path / "page", **flags)) == 0
    assert capsys.readouterr().out.startswith(f"web: {tmp_path / 'page'} (")
    assert (tmp_path / "page" / "index.html").is_file()
    assert json.loads((tmp_path / "page" / "classes.json").read_text())["class_names"] == list(NAMES)


def test_a_run_without_the_checkpoint_is_refused_before_anything_is_written(place, tmp_path):
    workdir, one_view = tmp_path / "workdir", {"flip": False}
    claim_workdir(workdir, EXPERIMENT, read_workdir(place / "workdir")[1])
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        export.run(flags_of(export, workdir=workdir, output=tmp_path / "served", **one_view))
    with pytest.raises(FileNotFoundError, match="no checkpoint of step 8; it has 7"):
        export.run(flags_of(export, workdir=place / "workdir", output=tmp_path / "served", **one_view, checkpoint=8))
    with pytest.raises(FileNotFoundError, match="has no best checkpoint, since no evaluation during its training"):
        export.run(
            flags_of(export, workdir=place / "workdir", output=tmp_path / "served", **one_view, checkpoint="best")
        )
    assert not (tmp_path / "served").exists()


def test_the_best_checkpoint_is_chosen_by_its_word(place, tmp_path, capsys):
    shutil.copytree(place / "workdir", tmp_path / "run")
    keep_if_best(tmp_path / "run", 0, 7, {"miou": 0.5, "images": 3})
    seals.remove(checkpoint_path(tmp_path / "run"))
    chosen = {"workdir": tmp_path / "run", "checkpoint": "best"}
    assert evaluate.run(flags_of(evaluate, **chosen, data_dir=place / "data", sheet=0)) == 0
    result = json.loads((tmp_path / "run" / "eval_tiny_val.json").read_text(encoding="utf-8"))
    assert (result["stage"], result["step"]) == (0, 7)
    images = {"images": str(place / "raw" / "images" / "val"), "output_dir": str(tmp_path / "out")}
    assert predict.run(flags_of(predict, **chosen, **images)) == 0
    assert export.run(flags_of(export, **chosen, output=tmp_path / "served", flip=False)) == 0
    told = capsys.readouterr()
    assert told.err.count("checkpoint at step 7, ") == told.err.count(", on CPU with ") == 2 and "step 7" in told.out


@pytest.mark.parametrize(("script", "views"), [(evaluate, {}), (predict, {}), (export, {"flip": False})])
def test_a_folder_without_a_run_is_one_line_and_status_1(tmp_path, capsys, script, views):
    (tmp_path / "photo.png").touch()
    places = {"data_dir": "data", "images": str(tmp_path / "photo.png"), "output_dir": "out", "output": "served"}
    flags = flags_among(script, workdir="nothing", **places, **views)
    assert exit_status(lambda: script.run(flags), name="script") == 1
    told = capsys.readouterr()
    assert told.err.startswith("script: nothing holds no training run") and told.err.count("\n") == 1
    assert told.out == ""


def test_the_process_of_a_script_writes_that_line_alone(tmp_path):
    command = [sys.executable, "-m", "deeplab_ksac.scripts.export", "--workdir=nothing", "--output=served"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    told = [line for line in ended.stderr.splitlines() if "local_xla" not in line]  # TensorFlow's notes at its start
    assert len(told) == 1 and told[0].startswith("export: nothing holds no training run")


@pytest.mark.parametrize("script", ["evaluate", "predict", "export"])
def test_help_names_the_flags_without_loading_tensorflow(script):
    probe = f"import sys; sys.argv = ['{script}', '--help']; import runpy, atexit; "
    probe += "atexit.register(lambda: print('tensorflow' in sys.modules)); "
    probe += f"runpy.run_module('deeplab_ksac.scripts.{script}', run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "--workdir: folder of the training run" in ended.stdout
    assert ended.stdout.endswith("False\n")
