"""Records that do not fit or are damaged, and pictures of mixed sizes, in evaluation and inspection."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets import encoding, pipeline
from deeplab_ksac.datasets.access import damage_named
from deeplab_ksac.datasets.info import DatasetError, dataset_dir, load_info, save_info
from deeplab_ksac.datasets.inspection import inspect_dataset
from deeplab_ksac.datasets.records import shard_files, write_records
from deeplab_ksac.datasets.stored import record_offsets
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.evaluation import evaluate
from tests import fakes

CLASSES = 3


@pytest.fixture
def data(tmp_path):
    write_records("folder", fakes.write_folder(tmp_path / "raw", {"val": 7}), tmp_path, shards=2, processes=1)
    return tmp_path


def change(data, number, **features):
    """Writes record `number` of the first shard with other features."""
    file = shard_files("folder", "val", data)[0][0]
    records = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(file)]
    for name, value in features.items():
        records[number].features.feature[getattr(encoding, name)].CopyFrom(value)
    with tf.io.TFRecordWriter(file) as writer:
        for record in records:
            writer.write(record.SerializeToString())


def mask(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoding.encode_labels(values)]))


def read_all(data, batch_size=1):
    return list(pipeline.eval_batches("folder", "val", data_dir=data, batch_size=batch_size))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_label_beyond_the_classes_is_named_with_its_record(data, batch_size):
    change(data, 1, LABELS=mask(np.full((fakes.SIZE[0] + 1, fakes.SIZE[1] - 1), 200, np.uint8)))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        read_all(data, batch_size)
    told = in_one_line(caught.value)
    assert told == "the record of p01 has the label 200 of 3 classes; convert the data set again"


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_mask_of_another_size_is_named_with_its_record(data, batch_size):
    change(data, 0, LABELS=mask(np.zeros((5, 7), np.uint8)))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        read_all(data, batch_size)
    assert "the record of p00 has a picture of (height, width) 24 32 , a mask of 5 7 and states 24 32" in in_one_line(
        caught.value
    )
    inspection = inspect_dataset("folder", data_dir=data)
    assert "val: picture, mask and stated size differ in 1 example: p00" in inspection.warnings


def train_all(data, steps=3):
    """A few batches of training, of whole pictures."""
    batches = pipeline.train_batches(
        ("folder/val",),
        **{"data_dir": data, "crop_size": (40, 40), "batch_size": 4, "seed": 0, "scales": (1.0,), "flip": True},
        brightness=0,
    )
    return list(batches.take(steps))


def test_training_names_the_record_of_a_label_beyond_the_classes(data):
    assert len(train_all(data)) == 3
    change(data, 1, LABELS=mask(np.full((fakes.SIZE[0] + 1, fakes.SIZE[1] - 1), 3, np.uint8)))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        train_all(data)
    assert in_one_line(caught.value) == "the record of p01 has the label 3 of 3 classes; convert the data set again"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"LABELS": mask(np.zeros((5, 7), np.uint8))}, "24 32 , a mask of 5 7 and states 24 32"),
        ({"LABELS": mask(np.zeros((240, 320), np.uint8))}, "24 32 , a mask of 240 320 and states 24 32"),
        (
            {"HEIGHT": tf.train.Feature(int64_list=tf.train.Int64List(value=[23]))},
            "24 32 , a mask of 24 32 and states 23 32",
        ),
    ],
)
def test_training_names_the_record_whose_sizes_differ(data, wrong, words):
    change(data, 0, **wrong)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        train_all(data)
    told = in_one_line(caught.value)
    assert told == f"the record of p00 has a picture of (height, width) {words} ; convert the data set again"


def test_a_picture_of_another_size_than_stated_is_pointed_out(data):
    change(data, 0, HEIGHT=tf.train.Feature(int64_list=tf.train.Int64List(value=[23])))
    assert (
        "val: picture, mask and stated size differ in 1 example: p00"
        in inspect_dataset("folder", data_dir=data).warnings
    )


@pytest.mark.parametrize("count", [6, 8, 0])
def test_another_number_of_records_than_stated_is_an_error(data, count):
    info = dataclasses.replace(load_info("folder", data), num_examples={"val": count})
    save_info(info, dataset_dir("folder", data))
    with pytest.raises(DatasetError, match=f"7 records in its files and {count} in its metadata"):
        inspect_dataset("folder", data_dir=data)
    with pytest.raises(DatasetError, match=f"7 records in its files and {count} in its metadata"):
        read_all(data)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("part", ["length", "content"])
def test_a_damaged_record_is_named_with_its_file(data, number, part):
    file = shard_files("folder", "val", data)[0][1]
    start = int(record_offsets(file)[number])
    place = start + (9 if part == "length" else 300)  # the length's checksum; inside the content
    with open(file, "r+b") as stream:
        stream.seek(place)
        old = stream.read(1)
        stream.seek(place)
        stream.write(bytes([old[0] ^ 1]))
    at = start if part == "length" else start + 12  # what TensorFlow says
    with pytest.raises(DatasetError) as caught, damage_named(["folder/val"], data):
        read_all(data)
    told = str(caught.value)
    assert told.startswith(f"{file}: corrupted record at {at}") and told.endswith("; convert the data set again")
    with pytest.raises(DatasetError, match=rf"cannot be read after .*00001-of-00002: corrupted record at {at}"):
        inspect_dataset("folder", data_dir=data)


def test_a_record_that_is_cut_is_named_with_its_file(data):
    file = shard_files("folder", "val", data)[0][1]
    with open(file, "r+b") as stream:
        stream.truncate(int(record_offsets(file)[1]) + 40)
    with pytest.raises(DatasetError, match=r"00001-of-00002"):
        inspect_dataset("folder", data_dir=data)
    with pytest.raises(DatasetError, match=r"00001-of-00002 ends inside its record 1; convert the data set again"):
        read_all(data)
    with pytest.raises(DatasetError, match=r"00001-of-00002 ends inside its record 1; convert the data set again"):
        train_all(data)


def context_model():
    """Scores that depend on every pixel of the picture, filling too, exactly: sums of whole numbers below 2²⁴."""
    image = keras.Input([None, None, 3])
    total = tf.reduce_sum(image, axis=[1, 2], keepdims=True)
    scores = tf.concat([image[..., :1] * 9999, total[..., :1] / 8 + 0 * image[..., :1], image[..., 1:2] * 7777], -1)
    return keras.Model(image, {"logits": scores})


@pytest.mark.parametrize("batch_size", [2, 4])
def test_the_score_does_not_depend_on_the_batch_size(data, batch_size):
    model, sizes = context_model(), {batch["labels"].shape[1:] for batch in read_all(data)}
    assert len(sizes) > 3
    one, more = (
        evaluate(model, read_all(data, size), num_classes=CLASSES, boundary_tolerance=2) for size in (1, batch_size)
    )
    assert json.dumps(one) == json.dumps(more)


def test_one_class_is_said_to_be_no_score(data):
    from deeplab_ksac.datasets.splits import Split
    from deeplab_ksac.experiment import Views
    from deeplab_ksac.runs.results import EvaluationResult

    matrix = np.array([[5]])
    result = EvaluationResult(Split("a", "val"), Views(), 0, 1, ("road",), {"pixels": 5}, matrix)
    assert result.warning() == "warning: there is one class, 'road': every model has an mIoU of 1"
