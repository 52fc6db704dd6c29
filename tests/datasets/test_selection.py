"""Data sets of some records of others: what is copied, what is counted, and what is refused."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import encoding, pipeline, records, shards
from deeplab_ksac.datasets.info import DatasetError, dataset_dir, load_info, save_info
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.selection import Selected, find_pictures, select_records
from tests import fakes
from tests.datasets.test_band_pictures import values, write_png
from tests.places import ROOT
from tests.stores import ram

PARTS = {"train": [Selected("one/train", (5, 1, 3)), Selected("two/train", (2,))], "val": [Selected("one/val", (0, 4))]}
KILLED = """
import os, signal
from deeplab_ksac.datasets.selection import Selected, select_records

def kill_in_val(split, done, total):
    if (split, done) == ("val", 2):
        os.kill(os.getpid(), signal.SIGKILL)

parts = {"train": [Selected("one/train", range(7))], "val": [Selected("one/val", range(5))]}
select_records("few", "data", parts, progress=kill_in_val)
"""


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    for name, counts, size in (("one", {"train": 7, "val": 5}, (24, 32)), ("two", {"train": 4}, (20, 27))):
        raw = fakes.write_folder(folder / "raw" / name, counts, size=size)  # else those of one number would be the same
        records.write_records("folder", raw, folder / "data", dataset_name=name, shards=2, processes=1)
    return folder


@pytest.fixture
def data(converted, tmp_path):
    """The data sets "one" (train 7, val 5) and "two" (train 4)."""
    return shutil.copytree(converted / "data", tmp_path / "data")


def stored(name, split, data_dir):
    """The serialized examples of a split."""
    serialized, count = records.read_records(name, split, data_dir)
    found = list(serialized.as_numpy_iterator())
    assert len(found) == count
    return found


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_records_are_copied_byte_for_byte_in_the_order_that_is_asked_for(data):
    calls = []
    info = select_records("few", data, PARTS, progress=lambda *state: calls.append(state))
    one, two, val = (stored(*source, data) for source in (("one", "train"), ("two", "train"), ("one", "val")))
    assert stored("few", "train", data) == [one[5], one[1], one[3], two[2]]
    assert stored("few", "val", data) == [val[0], val[4]]
    assert info == load_info("few", data) and info.num_examples == {"train": 4, "val": 2}
    assert calls == [("train", i, 4) for i in range(1, 5)] + [("val", i, 2) for i in range(1, 3)]
    assert [path.name for path in (data / "few").iterdir()] == ["1.0.0"]


def test_a_selection_is_to_the_byte_what_a_conversion_of_its_pictures_is(converted, data, tmp_path):
    raw = tmp_path / "raw"
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        for split, numbers in (("train", (1, 4, 6)), ("val", (2,))):
            (raw / kind / split).mkdir(parents=True)
            for i in numbers:
                shutil.copy(converted / "raw" / "one" / kind / split / f"p{i:02d}.{suffix}", raw / kind / split)
    shutil.copy(converted / "raw" / "one" / "classes.txt", raw)
    records.write_records("folder", raw, tmp_path / "other", dataset_name="few", processes=1)
    select_records("few", data, {"train": [Selected("one/train", (1, 4, 6))], "val": [Selected("one/val", (2,))]})
    assert content(dataset_dir("few", data)) == content(dataset_dir("few", tmp_path / "other"))


@pytest.mark.parametrize("depth", [8, 16])
def test_other_bands_are_measured_over_the_pictures_that_were_selected(tmp_path, depth):
    for place, numbers in (("all", (0, 1, 2)), ("some", (0, 2))):
        for i in numbers:
            for kind in ("images", "masks"):
                (tmp_path / place / kind / "train").mkdir(parents=True, exist_ok=True)
            write_png(tmp_path / place / "images" / "train" / f"p{i}.png", values(4, depth, (20 + i, 24), i))
            mask = fakes.labels(i, 2, (20 + i, 24))
            Image.fromarray(mask).save(tmp_path / place / "masks" / "train" / f"p{i}.png")
        (tmp_path / place / "classes.txt").write_text("ground\nthing\n")
    bands = {"reading": Reading(channels=4), "processes": 1}
    records.write_records("folder", tmp_path / "all", tmp_path / "data", dataset_name="whole", **bands)
    records.write_records("folder", tmp_path / "some", tmp_path / "other", dataset_name="few", **bands)
    info = select_records("few", tmp_path / "data", {"train": [Selected("whole/train", (0, 2))]})
    assert info.bands.mean != load_info("whole", tmp_path / "data").bands.mean
    assert content(dataset_dir("few", tmp_path / "data")) == content(dataset_dir("few", tmp_path / "other"))


def test_shards_are_as_many_as_conversion_makes(data, monkeypatch):
    monkeypatch.setattr(shards, "EXAMPLES_PER_SHARD", 3)
    info = select_records("few", data, {"train": [Selected("one/train", range(7))]})
    assert info.num_shards == {"train": 3}
    assert stored("few", "train", data) == stored("one", "train", data)


def test_without_labels_all_of_a_picture_is_ignored_and_nothing_else_changes(data):
    parts = [Selected("one/train", (0, 2)), Selected("one/train", (1, 3), labels=False)]
    info = select_records("few", data, {"train": parts})
    before, after = stored("one", "train", data), stored("few", "train", data)
    assert after[:2] == [before[0], before[2]]
    pixels = 0
    for old, new in ((before[1], after[2]), (before[3], after[3])):
        old, new = (tf.train.Example.FromString(record).features.feature for record in (old, new))
        height, width = (new[side].int64_list.value[0] for side in (encoding.HEIGHT, encoding.WIDTH))
        ignored = encoding.encode_labels(np.full((height, width), 255, np.uint8))
        assert new.pop(encoding.LABELS).bytes_list.value[0] == ignored != old.pop(encoding.LABELS).bytes_list.value[0]
        assert {key: old[key] for key in old} == {key: new[key] for key in new}
        pixels += height * width
    labeled = select_records("labeled", data, {"train": parts[:1]})
    assert info.pixel_counts == labeled.pixel_counts
    assert info.ignored_pixels["train"] == labeled.ignored_pixels["train"] + pixels


def test_training_and_evaluation_read_what_was_selected(data):
    select_records("few", data, {**PARTS, "rest": [Selected("one/train", (0, 6), labels=False)]})
    found = list(pipeline.eval_batches("few", "val", data_dir=data).as_numpy_iterator())
    expected = list(pipeline.eval_batches("one", "val", data_dir=data).as_numpy_iterator())
    for a, b in zip(found, (expected[0], expected[4]), strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["labels"], b["labels"])
    options = {"data_dir": data, "crop_size": 21, "batch_size": 3, "seed": 0, "scales": (1.0,), "flip": True}
    (batch,) = pipeline.train_batches(("few/train", "few/rest"), **options).take(1).as_numpy_iterator()
    assert batch["image"].shape == (3, 21, 21, 3)
    (batch,) = pipeline.train_batches(("few/rest",), **options).take(1).as_numpy_iterator()
    assert (batch["labels"] == 255).all()


def test_after_a_kill_there_is_no_data_set_and_the_next_call_makes_it(data, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (data / "few").glob(".1.0.0.incomplete*")
    assert any(left.glob("few-train.tfrecord*"))
    with pytest.raises(DatasetError, match="no converted data set 'few'"):
        load_info("few", data)
    select_records("few", data, PARTS)
    assert len(stored("few", "train", data)) == 4
    assert [path.name for path in (data / "few").iterdir()] == ["1.0.0"]


def test_in_an_object_store_it_is_what_it_is_on_a_disk(converted, data):
    select_records("few", data, PARTS)
    with ram() as address:
        for name in ("one", "two"):
            records.write_records("folder", converted / "raw" / name, address, dataset_name=name, shards=2, processes=1)
        select_records("few", address, PARTS)
        assert content(dataset_dir("few", address)) == content(dataset_dir("few", data))
        with pytest.raises(DatasetError, match="in an object store no folder can be replaced at once"):
            select_records("few", address, PARTS, overwrite=True)


def test_what_fails_leaves_nothing(data):
    def fail(split, done, total):
        if split == "val":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        select_records("few", data, PARTS, progress=fail)
    assert not (data / "few").exists()


def test_an_existing_data_set_is_replaced_only_when_told_to(data):
    select_records("few", data, PARTS)
    other = {"train": [Selected("two/train", (3,))]}
    with pytest.raises(DatasetError, match=r"few.1.0.0 exists; allow overwriting"):
        select_records("few", data, other)
    assert load_info("few", data).num_examples == {"train": 4, "val": 2}
    select_records("few", data, other, overwrite=True)
    assert stored("few", "train", data) == stored("two", "train", data)[3:]
    (dataset_dir("few", data) / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"holds notes.txt, which no conversion wrote"):
        select_records("few", data, PARTS, overwrite=True)


def refusal(data, parts, name="few", error=DatasetError):
    with pytest.raises(error) as caught:
        select_records(name, data, parts, overwrite=True)
    assert "\n" not in str(caught.value)
    assert not (data / "few").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"train": [Selected("on/train", (0,))]}, "no converted data set 'on' in "),
        ({"train": [Selected("one/trian", (0,))]}, "data set one has no split 'trian' (found: train, val); did you"),
        ({"train": [Selected("one/val", (0, 5))]}, "one/val has the records 0 … 4, and none with the number 5"),
        ({"train": [Selected("two/train", (0,)), Selected("one/val", (-1,))]}, "one/val has the records 0 … 4, and"),
        ({"train": [Selected("one/val", (0,))], "val": [Selected("one/val", ())]}, "split val of few has no pictures"),
        ({"train": []}, "split train of few has no pictures"),
        ({}, "few has no splits"),
        ({"a b": [Selected("one/val", (0,))]}, "split name 'a b' of few: expected letters"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(data, parts, words):
    assert refusal(data, parts).startswith(words)


@pytest.mark.parametrize("numbers", [(0.0, 1.0), ("1",), (True, False)])
def test_numbers_are_whole(data, numbers):
    assert "must be whole numbers" in refusal(data, {"train": [Selected("one/val", numbers)]}, error=ValueError)


def test_a_name_is_one(data):
    assert refusal(data, PARTS, name="Few one").startswith("data set name 'Few one': expected lower-case letters")
    assert "is written 'name/split'" in refusal(data, {"train": [Selected("one", (0,))]}, error=ValueError)


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_read_is_not_replaced(data, linked):
    before = content(dataset_dir("one", data))
    if linked:
        (data / "few").symlink_to(data / "one")
    with pytest.raises(FileExistsError, match="cannot be written to: it is read itself"):
        select_records("few" if linked else "one", data, PARTS, overwrite=True)
    assert content(dataset_dir("one", data)) == before


def test_other_classes_or_colors_are_not_mixed(data, tmp_path):
    info = load_info("two", data)
    save_info(dataclasses.replace(info, colors=info.colors[::-1]), dataset_dir("two", data))
    assert refusal(data, PARTS) == "one/train and two/train have different colors of classes; they cannot be mixed"
    save_info(dataclasses.replace(info, class_names=("a", "b", "c")), dataset_dir("two", data))
    assert refusal(data, PARTS) == "one/train and two/train have different classes; they cannot be mixed"


def test_a_damaged_record_is_named(data):
    file = records.shard_files("one", "train", data)[0][0]
    found = list(tf.data.TFRecordDataset(file).as_numpy_iterator())
    example = tf.train.Example.FromString(found[1])
    mask = encoding.encode_labels(np.full((25, 31), 7, np.uint8))
    example.features.feature[encoding.LABELS].bytes_list.value[:] = [mask]
    with tf.io.TFRecordWriter(file) as writer:
        for record in (found[0], example.SerializeToString(), *found[2:]):
            writer.write(record)
    assert refusal(data, PARTS) == "the record of p01 has the label 7 of 3 classes; convert the data set again"
    with open(file, "r+b") as stream:
        stream.seek(40)
        stream.write(b"damage")
    assert refusal(data, {"train": [Selected("one/train", (0,))]}).startswith(f"{file}: corrupted record")


def test_pictures_are_found_by_their_names_with_or_without_suffix(data):
    assert find_pictures("one/train", data, ["p05.png", "p01", "p03.JPG", "p01"]) == [1, 3, 5]
    with pytest.raises(DatasetError, match=r"^2 of 3 names are of no picture of one/train, the first 'p07.jpg' \(its "):
        find_pictures("one/train", data, ["p06", "p07.jpg", "p05.x"])
