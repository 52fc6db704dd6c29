"""Where a stage ends early, and what its run's folder says of that."""

import dataclasses
import json
import math

import pytest

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments import EXPERIMENTS, TABLES
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.runs.comparison import Comparison
from deeplab_ksac.runs.history import read_run
from deeplab_ksac.runs.patience import early_end, last_steps
from tests.deeplab_ksac.runs.workdirs import write_run


@pytest.mark.parametrize(
    ("mious", "patience", "expected"),
    (
        ([], 2, None),
        ([0.1, 0.2, 0.3], 1, None),
        ([0.1, 0.1], 1, 20),  # an equal one is no rise
        ([0.1, 0.3, 0.2, 0.3], 2, 40),
        ([0.1, 0.3, 0.2, 0.25], 2, 40),  # nor is one above the one before it alone
        ([0.1, 0.3, 0.2, 0.4, 0.3], 2, None),
        ([0.1, 0.3, 0.2, 0.2, 0.4], 2, 40),  # where it ended it stays
        ([None, math.nan, 0.1], 2, 20),  # nothing labeled
        ([0.1, None, "a", 0.1], 3, 40),
        ([0.0, 0.0, 0.0], 2, 30),
        ([0.3, 0.2, 0.1], 0, None),
    ),
)
def test_a_stage_ends_after_so_many_evaluations_without_a_rise(mious, patience, expected):
    assert early_end([(10 * number, miou) for number, miou in enumerate(mious, start=1)], patience) == expected


@pytest.fixture
def run(tmp_path):
    """A run of three stages of 40, 300 and 20 steps, of which the second ended early, after its step 20."""
    experiment = with_stage(EXPERIMENTS["voc_resnet50_ksac"], patience=2)
    lengths = zip(experiment.stages, (40, 300, 20))
    stages = tuple(dataclasses.replace(stage, steps=steps) for stage, steps in lengths)
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(dataclasses.replace(experiment, stages=stages))))
    lines = [{"stage": 0, "step": step, "eval/miou": step / 100} for step in (10, 20, 30, 40)]
    lines += [{"stage": 1, "step": step, "eval/miou": miou} for step, miou in ((5, 0.3), (10, 0.4), (15, 0.4), (20, 0))]
    lines += [{"stage": 2, "step": step, "train/loss": 1.0} for step in (10, 20)]
    lines += [{"stage": 2, "step": 20, "eval/miou": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_curves_and_lengths_are_those_of_the_steps_that_were_taken(run):
    found = read_run(run)
    assert found.last_steps == (40, 20, 20) and found.all_steps == found.steps == 80
    assert [step for step, _ in found.curves["eval/miou"]] == [10, 20, 30, 40, 45, 50, 55, 60, 80]
    assert [step for step, _ in found.curves["train/loss"]] == [70, 80]


def test_a_run_is_finished_where_its_last_stage_ended(run):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    for step, miou in ((5, 0.5), (10, 0.5)):
        lines.insert(-3, json.dumps({"stage": 2, "step": step, "eval/miou": miou}) + "\n")
    (run / "metrics.jsonl").write_text("".join([*lines[:-3], '{"stage": 2, "step": 15, "eval/miou": 0.5}\n']))
    found = read_run(run)
    assert found.last_steps == (40, 20, 15)
    assert found.is_finished({"stage": 2, "step": 15}) and found.is_finished({"step": 15})
    assert not found.is_finished({"stage": 2, "step": 10}) and not found.is_finished({"stage": 1, "step": 15})


def test_stages_without_patience_end_with_their_last_step(run):
    experiment = with_stage(read_run(run).experiment, patience=0)
    assert last_steps(run, experiment) == [40, 300, 20]


def test_a_result_of_the_best_checkpoint_is_not_called_unfinished(tmp_path):
    row = TABLES["4.1"].rows["R8"].experiment
    write_run(tmp_path, row, evaluations=[(0.5, 20_000, [1.0])], steps=30_000, name="run")
    (entry, *_) = [
        entry
        for entry in Comparison([TABLES["4.1"]], [read_run(tmp_path / "run")]).entries["4.1"]
        if entry.label == "R8" and entry.kind == "single scale"
    ]
    assert entry.ours is None and entry.state.startswith("not of the last step, 50.00 after step 20,000")
