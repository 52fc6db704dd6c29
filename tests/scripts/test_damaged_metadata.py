"""Converted data sets that are not what they say: counts that are none, labels that are no classes; one line."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.info import dataset_dir
from deeplab_ksac.scripts import evaluate, inspect_data, train
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT, SIZES, trained_run
from tests.scripts.parsing import flags_of

OF_TRAINING = {"strategy": "one_device", "mode": "train"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        yield place


@pytest.fixture
def data(place, tmp_path):
    shutil.copytree(place / "data", tmp_path / "data")
    return tmp_path / "data"


COMMANDS = {
    "inspect": lambda place, data: inspect_data.inspect(
        "tiny", flags_of(inspect_data, data_dir=str(data), samples=1, output=str(data / "sheet.png"))
    ),
    "train": lambda place, data: train.train(
        EXPERIMENT, flags_of(train, data_dir=str(data), workdir=str(data / "run"), **OF_TRAINING)
    ),
    "evaluate": lambda place, data: evaluate.run(flags_of(evaluate, workdir=place / "workdir", data_dir=data)),
}
WRONG = (
    *({"train": -1, "val": 3}, {"train": 1, "val": -1}, {"train": 1, "val": 2.5}, {"train": 1, "val": "3"}),
    *({"train": True, "val": 3}, {"train": None, "val": 3}, {"train": 10**30, "val": 3}, {"train": [1], "val": 3}),
    *(-1, 4, "4", None, [], [1, 3], {}, {"train": 1}, {"val": 3}, {"train": 1, "val": 3, "test": 1}),
)


FIELDS = {  # of the file -> the first of the wrong values that are tried; an evaluation loads its model before it
    "inspect": {"num_examples": 0, "num_shards": 0, "num_bytes": 0},
    "train": {"num_examples": 0, "num_shards": 8},
    "evaluate": {"num_examples": 14},
}


@pytest.mark.parametrize(("command", "field"), [(command, field) for command in FIELDS for field in FIELDS[command]])
def test_a_number_of_examples_that_is_none_is_named(command, field, place, data, capsys):
    path = dataset_dir("tiny", data) / "segmentation.json"
    right = json.loads(path.read_text())
    for wrong in ({"train": -1, "val": -1}, *WRONG[FIELDS[command][field] :]):
        path.write_text(json.dumps({**right, field: wrong}))
        before = sorted((place / "workdir").iterdir()), sorted(data.iterdir())
        assert exit_status(lambda: COMMANDS[command](place, data), name=command) == 1
        told = [line for line in capsys.readouterr().err.splitlines() if " replica(s)" not in line]
        assert len(told) == 1 and told[0].startswith(f"{command}: {path}"), (wrong, told)
        assert "num_examples" in told[0] or field in told[0]
        assert (sorted((place / "workdir").iterdir()), sorted(data.iterdir())) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_another_number_than_the_records_is_named(command, place, data, capsys):
    path = dataset_dir("tiny", data) / "segmentation.json"
    right = json.loads(path.read_text())
    split = "train" if command == "train" else "val"
    count = right["num_examples"][split]
    for wrong in (count + 1,) if command == "evaluate" else (0, count - 1, count + 1, 2**62):
        path.write_text(json.dumps({**right, "num_examples": {**right["num_examples"], split: wrong}}))
        assert exit_status(lambda: COMMANDS[command](place, data), name=command) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith(f"{command}: ") and f"{count} records in its files and {wrong} in its metadata" in told
        assert not (data / "sheet.png").exists() and not list((place / "workdir").glob("eval_*"))


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_label_that_is_no_class_ends_a_command_with_its_record(command, place, data, capsys):
    split = "train" if command == "train" else "val"
    (shard,) = dataset_dir("tiny", data).glob(f"*-{split}.tfrecord*")
    (record, *others) = [tf.train.Example.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(shard))]
    labels = encoding.encode_labels(np.full(SIZES[split][0], 7, np.uint8))
    record.features.feature[encoding.LABELS].bytes_list.value[0] = labels
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for each in (record, *others):
            writer.write(each.SerializeToString())
    assert exit_status(lambda: COMMANDS[command](place, data), name=command) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"{command}: the record of 0 has the label 7 of 3 classes; convert the data set again"
    assert not list((place / "workdir").glob("eval_*")) and not list(data.rglob("*.seal"))
