"""Folders of runs that were damaged, are used twice, or bear odd names."""

import dataclasses
import json
import logging
import os
import shutil
import socket

import pytest

from deeplab_ksac.datasets.info import DatasetError, load_info, read_info, save_info
from deeplab_ksac.json_files import DamagedFileError
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.checkpoints import LostCheckpointsError, checkpoint_path, load_model, prepare_stages
from deeplab_ksac.runs.history import read_evaluation
from deeplab_ksac.runs.workdir import (
    MetricsLog,
    WorkdirInUseError,
    claim_workdir,
    only_one_training,
    read_experiment,
    read_metrics,
    record_start,
)
from deeplab_ksac.training import loop, strategy
from deeplab_ksac.whole_files import checksum
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert, with_steps


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data [a]*{b}?$c ~ü'"))


def train(workdir, data_dir, experiment=EXPERIMENT, **options):
    place = {"data_dir": data_dir, "workdir": workdir, "strategy": strategy.create_strategy("one_device")}
    return loop.train(experiment, **place, **options)


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """A finished run in a folder whose name TensorFlow takes for a pattern."""
    workdir = tmp_path_factory.mktemp("runs") / "run [lr=0.1]* {a}?$b ~\\ü"
    train(workdir, data_dir, with_steps(EXPERIMENT, 2, checkpoint_every=1))
    return workdir


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "run [x]")
    return tmp_path / "run [x]"


def again(run, data_dir, **options):
    return train(run, data_dir, with_steps(EXPERIMENT, 2, checkpoint_every=1), **options)


def test_a_run_in_a_folder_with_brackets_is_resumed_and_loaded(run, data_dir):
    assert again(run, data_dir) is None
    assert load_model(run).step == 2
    seals.remove(checkpoint_path(run))
    assert again(run, data_dir) is not None and load_model(run).step == 2


def test_a_second_training_of_a_folder_is_refused_with_who_holds_it(run, data_dir, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    words = rf"is being trained by another process \(process {os.getpid()} on host {socket.gethostname()} since 2"
    with only_one_training(run):
        with pytest.raises(WorkdirInUseError, match=words), only_one_training(run, patience=0):
            pytest.fail("both hold it")
        with pytest.raises(WorkdirInUseError, match=words):
            again(run, data_dir)
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert {path: time for path, time in after.items() if path != run} == {
        path: time for path, time in before.items() if path != run
    }
    assert again(run, data_dir) is None  # released


def test_an_argument_that_is_taken_away_or_made_none_is_another_configuration(tmp_path):
    claim_workdir(tmp_path, EXPERIMENT, fake_info())
    model = dataclasses.replace(EXPERIMENT.model, bottleneck={**EXPERIMENT.model.bottleneck, "activation": None})
    with pytest.raises(ValueError, match=r"another configuration; model.bottleneck.activation: not given -> None\. "):
        claim_workdir(tmp_path, dataclasses.replace(EXPERIMENT, model=model), fake_info())


def flip(path):
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


HARM = {
    "data": lambda folder: [flip(path) for path in folder.glob("ckpt-*.data*")],
    "index": lambda folder: [path.unlink() for path in folder.glob("ckpt-*.index")],
    "no object": lambda folder: [path.write_text("[1, null]") for path in folder.glob("ckpt-*.seal")],
    "null": lambda folder: [path.write_text("null") for path in folder.glob("ckpt-*.seal")],
    "seals gone": lambda folder: [path.unlink() for path in folder.glob("ckpt-*.seal")],
    "a folder": lambda folder: [(path.unlink(), path.mkdir()) for path in folder.glob("ckpt-*.data*")],
    "all gone": lambda folder: [path.unlink() for path in folder.glob("ckpt-*")],
}


@pytest.mark.parametrize("harm", HARM)
def test_a_run_whose_checkpoints_are_lost_begins_again_only_when_asked(harm, run, data_dir, caplog):
    HARM[harm](run / "stage_0")
    before = sorted(path.name for path in (run / "stage_0").iterdir())
    metrics = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(
        LostCheckpointsError, match=r"has no whole checkpoint to continue from: .*--start_over"
    ) as error:
        again(run, data_dir)
    assert "\n" not in str(error.value) and (harm == "all gone" or "ckpt-2" in str(error.value))
    assert sorted(path.name for path in (run / "stage_0").iterdir()) == before
    assert (run / "metrics.jsonl").read_bytes() == metrics
    if harm != "all gone":
        with pytest.raises(FileNotFoundError, match=r"has no whole checkpoint: .*ckpt-2: .*ckpt-1: "):
            checkpoint_path(run)


def test_starting_over_sets_aside_what_is_left(run, data_dir):
    HARM["data"](run / "stage_0")
    metrics = (run / "metrics.jsonl").read_bytes()
    assert 0 <= again(run, data_dir, start_over=True)["miou"] <= 1
    assert (run / "set_aside_1" / "metrics.jsonl").read_bytes() == metrics
    assert seals.steps_in(run / "set_aside_1" / "stage_0") == [1, 2] == seals.whole_steps(run / "stage_0")
    assert again(run, data_dir, start_over=True) is None  # of a whole run nothing begins again


def test_what_a_killed_save_has_left_is_removed_and_nothing_else(run):
    folder = run / "stage_0"
    (folder / "ckpt-9_temp").mkdir()
    (folder / "ckpt-9_temp" / "part").touch()
    (folder / "ckpt-7.index").touch()
    (folder / ".ckpt-7.seal.elsewhere.17.partial").touch()
    (folder / "ckpt-8.old").touch()
    (run / "stage_0.old").touch()
    (run / "stage_x").mkdir()
    prepare_stages(run, 1)
    names = {path.name for path in folder.iterdir()}
    assert "ckpt-8.old" in names and not {name for name in names if "ckpt-9" in name or "ckpt-7" in name}
    assert seals.whole_steps(folder) == [1, 2] and (run / "stage_0.old").exists()
    assert checkpoint_path(run).endswith("ckpt-2")


DAMAGED = (b"", b"{", b"[]", b"null", b"3", b'"a"', b"\xff\xfe{", b'{"a": NaN}', b"[" * 100_000, b"{}")


@pytest.mark.parametrize("content", DAMAGED)
def test_a_file_that_holds_no_object_is_named(content, tmp_path):
    (tmp_path / "experiment.json").write_bytes(content)
    (tmp_path / "segmentation.json").write_bytes(content)
    (tmp_path / "eval_a.json").write_bytes(content)
    for read, kind, name in (
        (read_experiment, DamagedFileError, "experiment.json"),
        (read_info, DatasetError, "segmentation.json"),
        (lambda folder: read_evaluation(folder / "eval_a.json"), DamagedFileError, "eval_a.json"),
    ):
        with pytest.raises(kind, match=str(tmp_path / name)) as error:
            read(tmp_path)
        assert "\n" not in str(error.value)


READERS = {
    "experiment.json": read_experiment,
    "segmentation.json": read_info,
    "eval_a.json": lambda folder: read_evaluation(folder / "eval_a.json"),
    "metrics.jsonl": lambda folder: list(read_metrics(folder)),
    "starts.jsonl": lambda folder: record_start(folder, {}),
    "ckpt-1.index": lambda folder: checksum(folder / "ckpt-1.index"),
}


@pytest.mark.skipif(os.name == "nt", reason="has no pipes in folders")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises((OSError, DatasetError), match=f"{name}.* is no regular file"):
        READERS[name](tmp_path)


def test_checkpoints_without_their_experiment_are_not_continued_with_another(run, data_dir):
    (run / "experiment.json").unlink()
    with pytest.raises(ValueError, match=r"has checkpoints in stage_0, and no experiment\.json that says of what"):
        again(run, data_dir)
    (run / "experiment.json").symlink_to("experiment.json")
    with pytest.raises(OSError, match=r"experiment\.json"):
        again(run, data_dir)


def test_a_missing_file_of_the_evaluation_is_named_before_the_first_step(data_dir, tmp_path):
    shutil.copytree(data_dir / "tiny", tmp_path / "data" / "tiny")
    for shard in (tmp_path / "data").rglob("*-val.tfrecord*"):
        shard.unlink()
    with pytest.raises(DatasetError, match=r"1 of 1 files are missing, the first .*-val\.tfrecord.*; convert it again"):
        train(tmp_path / "run", tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_a_file_in_place_of_the_folder_is_named_before_anything_is_built(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(NotADirectoryError, match="run is no folder, so nothing can be written to"):
        train(tmp_path / "run", tmp_path)


WRONG = (None, True, -1, 1.5, "a", [], [None], {}, {"val": -1}, {"val": None})


def test_each_field_of_segmentation_json_is_checked(data_dir, tmp_path):
    save_info(load_info("tiny", data_dir), tmp_path)
    path = tmp_path / "segmentation.json"
    fields = json.loads(path.read_text())
    texts = ("name", "description", "source")
    for name in fields:
        for value in WRONG:
            if (name in texts and value == "a") or value == fields[name]:
                continue
            path.write_text(json.dumps({**fields, name: value}))
            if name == "splits" and value == {}:
                continue
            with pytest.raises(DatasetError, match=f"{path}.*"):
                read_info(tmp_path)
    for wrong in ({"extra": 1, **fields}, {key: value for key, value in fields.items() if key != "colors"}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(DatasetError, match=r"'extra' is no field|has no 'colors'"):
            read_info(tmp_path)


def test_each_field_of_an_evaluation_is_checked(tmp_path):
    path = tmp_path / "eval_a.json"
    right = {"dataset": "a", "split": "b", "step": 1, "scales": [1.0], "flip": False, "miou": 0.5, "stage": 0}
    right |= {"iou": [0.5, None], "class_names": ["a", "b"], "window": None}
    path.write_text(json.dumps(right))
    assert read_evaluation(path) == right
    for name in right:
        for value in (-1, 2.5, "", [], [[]], {}, 10**400):
            path.write_text(json.dumps({**right, name: value}))
            with pytest.raises(DamagedFileError, match=f"is not an evaluation: it has .*{name}|classes and"):
                read_evaluation(path)


def test_lines_of_the_log_that_are_none_are_left_out_with_a_warning(tmp_path, caplog):
    lines = [
        b'{"stage": 0, "step": 1}',
        b"\xff",
        b'{"step": 2}',
        b'{"stage": 0, "step": "x"}',
        b"[]",
        b'{"stage": 0, "s',
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    with caplog.at_level(logging.WARNING):
        assert list(read_metrics(tmp_path)) == [{"stage": 0, "step": 1}]
    assert [message.split()[1] for message in caplog.messages] == ["2", "3", "4", "5"]


def test_the_log_is_json_also_where_nothing_is_labeled(tmp_path):
    MetricsLog(tmp_path, 0, 0).write(3, **{"eval/miou": float("nan"), "train/loss": 0.5})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["eval/miou"] is None


def test_the_classes_of_another_data_set_are_not_overwritten(tmp_path):
    save_info(fake_info(3), tmp_path)
    with pytest.raises(ValueError, match=r"holds the segmentation\.json of fake, and no run"):
        claim_workdir(tmp_path, EXPERIMENT, fake_info(5))
    assert read_info(tmp_path).num_classes == 3


def test_other_settings_are_refused_with_the_way_to_go_on(tmp_path):
    claim_workdir(tmp_path, with_steps(EXPERIMENT, 1), fake_info())
    with pytest.raises(ValueError, match=r"steps: 1 -> 2.* or remove this one, which has no checkpoint yet$"):
        claim_workdir(tmp_path, with_steps(EXPERIMENT, 2), fake_info())
    (tmp_path / "stage_0").mkdir()
    (tmp_path / "stage_0" / "ckpt-1.index").touch()
    with pytest.raises(ValueError, match=rf"steps: 1 -> 2.*--init_from={tmp_path}"):
        claim_workdir(tmp_path, with_steps(EXPERIMENT, 2), fake_info())


def test_a_tpu_that_is_not_found_is_named():
    with pytest.raises(ValueError, match=r"^tpu='' is no TPU that is found: \S"):
        strategy.create_strategy("tpu")


@pytest.mark.parametrize(
    "text", ("", " ", "{", "[]", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}')
)
def test_several_workers_need_tf_config(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        strategy.create_strategy("multi_worker")
