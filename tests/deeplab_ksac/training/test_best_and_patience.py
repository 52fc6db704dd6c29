"""What evaluations during training decide: the best checkpoint, an early end; also of a part of the split."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import part
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import best_dir, best_path, read_best
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.history import read_run
from deeplab_ksac.runs.workdir import read_metrics
from deeplab_ksac.training import loop, strategy
from deeplab_ksac.training.interruption import RestartError
from deeplab_ksac.training.log import StageLog
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data"))


def train(experiment, data_dir, workdir, **options):
    keras.utils.set_random_seed(experiment.seed)
    place = {"data_dir": data_dir, "workdir": workdir, "strategy": strategy.create_strategy("one_device")}
    return loop.train(experiment, **place, **options)


def mious(workdir, name="eval/miou"):
    """(stage, step, mIoU) of every evaluation in the log."""
    return [(line["stage"], line["step"], line[name]) for line in read_metrics(workdir) if name in line]


def measured(loaded, data_dir, images=0):
    """The mIoU of a loaded model on the validation split."""
    return evaluate(loaded.model, eval_batches("tiny", "val", data_dir=data_dir, images=images), num_classes=3)["miou"]


def content(workdir):
    """All files of a run but its events and starts, by name; of the log what is equal in equal runs."""
    found = {str(path.relative_to(workdir)): path for path in workdir.rglob("*") if path.is_file()}
    kept = {name: path.read_bytes() for name, path in found.items() if "events" not in name and "starts" not in name}
    names = ("stage", "step", "train/loss", "eval/miou", "eval_whole/miou")
    kept["metrics.jsonl"] = [{key: line.get(key) for key in names} for line in read_metrics(workdir)]
    return kept


def assert_equal_runs(found, expected):
    found, expected = content(found), content(expected)
    assert set(found) == set(expected)
    for name in expected:
        if not name.endswith((".index", ".seal")) and ".data" not in name:
            assert found[name] == expected[name], name


def assert_equal_checkpoints(found, expected):
    for name, _ in tf.train.list_variables(expected):
        np.testing.assert_array_equal(
            tf.train.load_variable(found, name), tf.train.load_variable(expected, name), err_msg=name
        )


# Nothing changes but the data, so that no evaluation is better than the first.
STILL = dataclasses.replace(
    EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e-30), steps=6, patience=2, ema_decay=0.5
)
UNMOVED = dataclasses.replace(
    EXPERIMENT,
    model=dataclasses.replace(EXPERIMENT.model, norm={"momentum": 1 - 1e-12}),
    stages=(STILL, dataclasses.replace(STILL, steps=5)),
    checkpoint_every=100,
    evaluate_every=1,
    evaluate_images=2,
)


@pytest.fixture(scope="module")
def unmoved(data_dir, tmp_path_factory):
    """(folder, what training returned, what it told) of a run whose stages end early."""
    workdir, told = tmp_path_factory.mktemp("unmoved"), []
    return workdir, train(UNMOVED, data_dir, workdir, tell=told.append), told


def test_a_stage_ends_when_its_miou_no_longer_rises_and_the_next_begins(unmoved):
    workdir, _, told = unmoved
    assert [number for *number, _ in mious(workdir)] == [[0, 1], [0, 2], [0, 3], [1, 1], [1, 2], [1, 3]]
    assert len({miou for *_, miou in mious(workdir)}) == 1
    assert [seals.whole_steps(workdir / f"stage_{stage}") for stage in (0, 1)] == [[2, 3], [2, 3]]
    end = "ended after step 3 of {}: the mIoU has not risen for 2 evaluations"
    assert told == [f"stage 1/2 {end.format(6)}", f"stage 2/2 {end.format(5)}"]


def test_the_best_is_that_of_the_last_stage_and_is_what_was_evaluated(unmoved, data_dir):
    workdir, *_ = unmoved
    best, loaded = read_best(workdir), load_model(workdir, "best")
    assert (best.stage, best.step, best.images) == (loaded.stage, loaded.step, 2) == (1, 1, 2)
    assert best.miou == mious(workdir)[3][-1] == measured(loaded, data_dir, images=2)


def test_after_the_last_step_of_a_stage_the_whole_split_is_evaluated(unmoved, data_dir):
    workdir, figures, _ = unmoved
    assert [number for *number, _ in mious(workdir, "eval_whole/miou")] == [[0, 3], [1, 3]]
    assert figures["images"] == 3 and figures["miou"] == mious(workdir, "eval_whole/miou")[-1][-1]
    assert figures["miou"] == measured(load_model(workdir), data_dir) != mious(workdir)[-1][-1]


def test_a_run_whose_stages_ended_early_is_finished(unmoved, data_dir, tmp_path):
    shutil.copytree(unmoved[0], tmp_path, dirs_exist_ok=True)
    before = content(tmp_path)
    assert train(UNMOVED, data_dir, tmp_path) is None
    assert content(tmp_path) == before
    run = read_run(tmp_path)
    assert run.last_steps == (3, 3) and run.is_finished({"stage": 1, "step": 3})
    assert [step for step, _ in run.curves["eval/miou"]] == [1, 2, 3, 4, 5, 6]


def test_the_evaluation_that_ends_a_stage_is_made_up_without_a_further_step(unmoved, data_dir, tmp_path):
    shutil.copytree(unmoved[0], tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join(lines[:-1]))
    told = []
    figures = train(UNMOVED, data_dir, tmp_path, tell=told.append)
    assert figures["miou"] == unmoved[1]["miou"] and len(told) == 1
    assert_equal_runs(tmp_path, unmoved[0])


class Stopping(loop.SilentProgress):
    """Has the run fail at the second step of each stage, once."""

    stages = set()

    def __init__(self, total, label, start=0):
        self.label, self.done = label, start

    def update(self, n=1, **shown):
        self.done += n
        if self.done == 2 and self.label not in self.stages:
            self.stages.add(self.label)
            raise RestartError("stopped")


def test_an_interrupted_run_ends_its_stages_at_the_same_steps(unmoved, data_dir, tmp_path):
    Stopping.stages.clear()
    for _ in range(2):
        with pytest.raises(RestartError):
            train(UNMOVED, data_dir, tmp_path, progress=Stopping)
    train(UNMOVED, data_dir, tmp_path, progress=Stopping)
    assert_equal_runs(tmp_path, unmoved[0])


LEARNING = dataclasses.replace(
    EXPERIMENT,
    stages=(dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("adam", learning_rate=0.1), steps=4, l2=0.0),),
    checkpoint_every=100,
    evaluate_every=1,
)


@pytest.fixture(scope="module")
def learning(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("learning")
    train(LEARNING, data_dir, workdir)
    return workdir


def test_the_best_is_the_first_of_the_highest_figures(learning, data_dir):
    highest = max(miou for *_, miou in mious(learning))
    first = next(step for _, step, miou in mious(learning) if miou == highest)
    best = read_best(learning)
    assert (best.step, best.miou, best.images) == (first, highest, 3) and len(mious(learning)) == 4
    assert measured(load_model(learning, "best"), data_dir) == highest
    assert "eval_whole/miou" not in {name for line in read_metrics(learning) for name in line}


def test_a_run_that_ends_between_the_best_and_the_log_goes_on_to_the_same_best(
    learning, data_dir, tmp_path, monkeypatch
):
    write, moments = StageLog.write_evaluation, [1, 4]

    def ends(log, done, *figures):
        if done in moments:
            moments.remove(done)
            raise KeyboardInterrupt
        write(log, done, *figures)

    monkeypatch.setattr(StageLog, "write_evaluation", ends)
    for moment in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            train(LEARNING, data_dir, tmp_path)
        assert read_best(tmp_path).step <= moment and len(mious(tmp_path)) == moment - 1
    train(LEARNING, data_dir, tmp_path)
    assert_equal_runs(tmp_path, learning)
    assert_equal_checkpoints(best_path(tmp_path), best_path(learning))


def test_training_without_evaluation_keeps_no_best(data_dir, tmp_path):
    train(dataclasses.replace(LEARNING, stages=(EXPERIMENT.stages[0],)), data_dir, tmp_path, evaluates=False)
    assert not best_dir(tmp_path).exists()
    with pytest.raises(FileNotFoundError, match="has no best checkpoint, since no evaluation during its training"):
        load_model(tmp_path, "best")


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    (
        ({"evaluate_every": 0}, {}, "evaluate_every is 0"),
        ({}, {"evaluates": False}, r"this training does not evaluate \(--mode=train\)"),
    ),
)
def test_patience_without_evaluations_is_an_error_before_the_first_step(changes, options, reason, data_dir, tmp_path):
    stages = (dataclasses.replace(STILL, patience=0), STILL)
    with pytest.raises(ValueError, match=rf"^stages\[1\].patience is 2, but {reason}; .*set patience to 0$"):
        train(dataclasses.replace(UNMOVED, stages=stages, **changes), data_dir, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_run_that_starts_over_sets_its_best_aside(learning, data_dir, tmp_path):
    shutil.copytree(learning, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "stage_0").glob("*.index"):
        path.unlink()
    record = json.loads((best_dir(tmp_path) / "best.json").read_text())
    (best_dir(tmp_path) / "best.json").write_text(json.dumps({**record, "miou": 1.0}))  # which nothing could surpass
    train(LEARNING, data_dir, tmp_path, start_over=True)
    assert read_best(tmp_path) == read_best(learning) and read_best(tmp_path / "set_aside_1").miou == 1.0
