"""Damaged pictures, masks, lists, records, checkpoints and weights, generated: a command ends with one line."""

import io
import json
import shutil
import types

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from deeplab_ksac.datasets import submissions
from deeplab_ksac.datasets.info import is_converted, load_info
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.scripts import backbones, convert, evaluate, export, flops, inspect_data, predict, submit, train
from deeplab_ksac.scripts import visualize as visualize_command
from tests import fakes
from tests.datasets.test_submissions import SMALL_CITYSCAPES, write_cityscapes
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT, trained_run
from tests.scripts.damage import FEW, damaged, ended, files_of
from tests.scripts.parsing import flags_of
from tests.scripts.test_backbones import TINY, reference, tiny_network  # noqa: F401
from tests.scripts.test_convert import DEFAULTS
from tests.scripts.test_damaged_metadata import OF_TRAINING


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        yield place


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder of pictures in two formats, and CamVid's and VOC's with their lists."""
    place = tmp_path_factory.mktemp("raw")
    fakes.write_folder(place / "folder", {"train": 2})
    picture = place / "folder" / "images" / "train" / "p01.jpg"
    Image.open(picture).save(picture.with_suffix(".png"))
    picture.unlink()
    fakes.write_camvid(place / "camvid", {"train": 2, "val": 1})
    fakes.write_voc2012(place / "voc2012", {"train": ["a", "b"], "val": ["c"]})
    return place


LISTS = {
    "camvid": ("train.txt", "train/0001TP_000000.png", "trainannot/0001TP_000000.png"),
    "folder": ("classes.txt", "images/train/p00.jpg", "images/train/p01.png", "masks/train/p00.png"),
    "voc2012": (
        *("VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt", "VOCdevkit/VOC2012/JPEGImages/a.jpg"),
        "VOCdevkit/VOC2012/SegmentationClass/a.png",
    ),
}


@pytest.mark.parametrize(("dataset", "name"), [(dataset, name) for dataset in LISTS for name in LISTS[dataset]])
@settings(FEW, max_examples=9)
@given(st.data())
def test_a_damaged_raw_file_is_one_line_or_a_data_set_that_is_read(dataset, name, raw, tmp_path, data):
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    shutil.rmtree(tmp_path / "raw", ignore_errors=True)
    shutil.copytree(raw / dataset, tmp_path / "raw")
    path = tmp_path / "raw" / name
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    values = {"dataset": [dataset], "raw_dir": [str(tmp_path / "raw")], "data_dir": str(tmp_path / "data")}
    given = types.SimpleNamespace(**{**DEFAULTS, **values, "allow_other_counts": True})
    status, _ = ended(lambda: convert.run(given), "convert")
    assert is_converted(dataset, tmp_path / "data") == (status == 0)
    if status == 0:
        load_info(dataset, tmp_path / "data")
        for split in ("train", *(("val",) if dataset != "folder" else ())):
            assert list(eval_batches(dataset, split, data_dir=tmp_path / "data"))


@settings(FEW, max_examples=4)
@given(st.data())
def test_damaged_pictures_are_named_and_the_others_are_predicted(place, tmp_path, data):
    for folder in ("photos", "out"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    (tmp_path / "photos").mkdir()
    for form in ("jpeg", "png", "gif", "tiff", "bmp", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(fakes.picture(0, (33, 40))).save(buffer, form)
        (tmp_path / "photos" / f"a.{form}").write_bytes(data.draw(damaged(buffer.getvalue())))
    Image.fromarray(fakes.picture(1, (33, 40))).save(tmp_path / "photos" / "whole.png")
    out = tmp_path / "out"
    given = flags_of(
        predict, workdir=place / "workdir", images=str(tmp_path / "photos"), output_dir=str(out), kinds=["index"]
    )
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", said)
        status = predict.run(given)
    named = [line for line in said.getvalue().splitlines() if line.startswith("not predicted: ")]
    assert status == bool(named) and all(line.isprintable() for line in named) and "Traceback" not in said.getvalue()
    written = list((out / "index").iterdir())
    assert [path.name for path in written if path.stem == "whole"] == ["whole.png"]
    for path in written:
        with Image.open(path) as image:
            image.load()


COMMANDS_ON_RECORDS = {"evaluate": 4, "inspect": 8, "train": 2}  # how many are tried


def of_records(command, place, data):
    """The work of a command on a data folder."""
    if command == "evaluate":
        return lambda: evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=data))
    if command == "inspect":
        values = {"data_dir": str(data), "splits": ["val"], "samples": 1, "output": str(data / "sheet.png")}
        return lambda: inspect_data.inspect("tiny", flags_of(inspect_data, **values))
    values = {"data_dir": str(data), "workdir": str(data / "run"), **OF_TRAINING}
    return lambda: train.train(EXPERIMENT, flags_of(train, **values))


@pytest.mark.parametrize("command", COMMANDS_ON_RECORDS)
def test_damaged_records_are_one_line(command, place, tmp_path):
    split = "train" if command == "train" else "val"
    (shard,) = (place / "data" / "tiny" / "1.0.0").glob(f"*-{split}.tfrecord*")
    whole, folder = shard.read_bytes(), tmp_path / "data"

    @settings(FEW, max_examples=COMMANDS_ON_RECORDS[command])
    @given(damaged(whole))
    def check(content):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / "data", folder)
        (folder / shard.relative_to(place / "data")).write_bytes(content)
        before = files_of(place / "workdir")
        status, lines = ended(of_records(command, place, folder), command)
        assert (status == 1) == (content != whole)  # a record has checksums
        if status == 1:
            assert shard.name in lines[0] or f"tiny/{split} has " in lines[0]
            assert files_of(place / "workdir") == before and not (folder / "sheet.png").exists()
            assert not list(folder.rglob("*.seal"))

    check()


COMMANDS_ON_A_RUN = {"evaluate": 25, "predict": 25, "export": 25, "visualize": 25, "submit": 10, "train": 2, "init": 4}


def of_a_run(command, run, place, output, test_set):
    """The work of a command on a run's folder."""
    picture = str(place / "raw" / "images" / "val" / "0.png")
    if command == "evaluate":
        return lambda: evaluate.run(flags_of(evaluate, workdir=run, data_dir=place / "data"))
    if command == "predict":
        return lambda: predict.run(flags_of(predict, workdir=run, images=picture, output_dir=str(output)))
    if command == "export":
        return lambda: export.run(flags_of(export, workdir=run, output=output, scales=(1.0,), flip=False))
    if command == "visualize":
        values = {
            "workdir": [str(run)],
            "images": picture,
            "data_dir": None,
            "dataset": None,
            "output_dir": str(output),
        }
        values |= {"count": 1, "channels": 1}
        return lambda: visualize_command.run("predictions", flags_of(visualize_command, **values))
    if command == "submit":
        values = {"workdir": run, "benchmark": "cityscapes", "raw_dir": str(test_set), "output": f"{output}.zip"}
        return lambda: submit.run(flags_of(submit, **values))
    values = {"data_dir": str(place / "data"), **OF_TRAINING, "workdir": str(run)}
    if command == "init":
        values |= {"workdir": str(output), "init_from": str(run)}
    return lambda: train.train(EXPERIMENT, flags_of(train, **values))


@pytest.mark.parametrize("command", COMMANDS_ON_A_RUN)
def test_a_damaged_checkpoint_is_one_line(command, place, tmp_path, monkeypatch):
    monkeypatch.setitem(submissions.SUBMISSIONS, "cityscapes", SMALL_CITYSCAPES)
    test_set = write_cityscapes(tmp_path / "cityscapes")
    pieces = {path.name: path.read_bytes() for path in (place / "workdir" / "stage_0").glob("ckpt-7.[id]*")}
    run, output = tmp_path / "run", tmp_path / "output"

    @settings(FEW, max_examples=COMMANDS_ON_A_RUN[command])
    @given(st.data())
    def check(data):
        name = data.draw(st.sampled_from(sorted(pieces)))
        content = data.draw(damaged(pieces[name]).filter(lambda content: content != pieces[name]))
        for folder in (run, output):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / "workdir", run)
        (run / "stage_0" / name).write_bytes(content)
        before = files_of(run)
        status, lines = ended(of_a_run(command, run, place, output, test_set), command)
        assert status == 1 and "ckpt-7" in lines[0] and name in lines[0]
        assert files_of(run) == before
        assert not [path for path in output.rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert not output.with_suffix(".zip").exists()

    check()


@settings(FEW, max_examples=10)
@given(st.data())
def test_a_damaged_test_set_is_one_line(tmp_path, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(submissions.SUBMISSIONS, "cityscapes", SMALL_CITYSCAPES)
        shutil.rmtree(tmp_path / "raw", ignore_errors=True)
        root = write_cityscapes(tmp_path / "raw")
        path = next((root / "leftImg8bit" / "test" / "mainz").iterdir())
        path.write_bytes(data.draw(damaged(path.read_bytes())))
        values = {"workdir": "none", "benchmark": "cityscapes", "raw_dir": str(root)}
        given = flags_of(submit, **values, output=str(tmp_path / "results.zip"))
        status, lines = ended(lambda: submit.run(given), "submit")
    assert status == 1 and (path.name in lines[0] or "none holds no training run" in lines[0])
    assert not (tmp_path / "results.zip").exists()


@settings(FEW, max_examples=12)
@given(st.data())
def test_damaged_references_are_one_line(reference, data):  # noqa: F811
    folder = reference[0]
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    path = data.draw(st.sampled_from(sorted(whole)))
    kept = path.read_bytes()
    path.write_bytes(data.draw(damaged(kept)))
    try:
        status, lines = ended(lambda: backbones.run(types.SimpleNamespace(reference=folder, backbones=[])), "backbones")
    finally:
        path.write_bytes(kept)
    assert status == 0 or path.stem in lines[0] or "errors of up to" in lines[0]


@settings(FEW, max_examples=25)
@given(st.data())
def test_damaged_weights_are_one_line_before_the_run_begins(reference, place, tmp_path, data):  # noqa: F811
    weights, config = reference[0] / "tiny_os16.safetensors", reference[0] / "config.json"
    whole = weights.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")  # of the header; what the numbers are no file says
    if data.draw(st.booleans()):
        header = data.draw(damaged(whole[:end]))
        weights.write_bytes(header + (b"" if data.draw(st.booleans()) else whole[end:]))
        config.unlink(missing_ok=True)
    else:
        weights.write_bytes(whole)
        right = json.dumps({"architecture": "resnet50", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}})
        config.write_bytes(data.draw(damaged(right.encode())))

    def work():
        arguments = {**weight_arguments("resnet50", str(weights)), **TINY}
        load_weights(BACKBONES["resnet50"](16, **arguments), "resnet50", str(weights), arguments)
        return 0

    try:
        status, lines = ended(work, "train")
    finally:
        weights.write_bytes(whole)
        config.unlink(missing_ok=True)
    assert status == 0 or str(weights) in lines[0] or str(config) in lines[0]


@settings(FEW, max_examples=6)
@given(st.data())
def test_a_damaged_saved_model_is_one_line(tmp_path, data):
    class Half(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def __call__(self, image):
            return {"classes": image / 2}

    tf.saved_model.save(module := Half(), str(tmp_path), signatures=module.__call__)
    path = tmp_path / "saved_model.pb"
    content = path.read_bytes()
    path.write_bytes(data.draw(st.one_of(st.integers(0, len(content) - 1).map(lambda n: content[:n]), st.binary())))
    values = {"config": None, "saved_model": str(tmp_path), "tables": None, "size": (33, 33)}
    status, lines = ended(lambda: flops.run(flags_of(flops, **values)), "flops")
    assert status == 0 or str(tmp_path) in lines[0]


def test_the_whole_files_of_these_tests_are_taken(place, tmp_path):
    shutil.copytree(place / "data", tmp_path / "data")
    assert ended(of_records("inspect", place, tmp_path / "data"), "inspect")[0] == 0
