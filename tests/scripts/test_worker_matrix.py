"""Two and four workers beside one process: trained, stopped and continued by another number, killed, held up."""

import json
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.runs import seals
from deeplab_ksac.runs.checkpoints import checkpoint_path
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import convert
from tests.workers import finish, start, wait_for

STEPS = 24
FLAGS = (f"--config.stages[0].steps={STEPS}", "--config.evaluate_every=12")
# Sums of a step come in another order, of at most 4 · 33² numbers at a time: each is off by half a unit of float32 for
# every level of the sum, log2 of that many. What a step is off the next ones carry on.
ROUNDING = STEPS * 2.0**-24 * np.log2(4 * 33**2)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data"), counts={"train": 10, "val": 8})


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory):
    """number of workers -> the folder of a run without an interruption."""
    folders = {}
    for workers in (1, 2, 4):
        folders[workers] = tmp_path_factory.mktemp("straight") / "run"
        done(start(data_dir, folders[workers], *FLAGS, workers=workers))
    return folders


def done(processes):
    for status, _, errors in finish(processes):
        assert status == 0, errors


def weights(workdir):
    path = checkpoint_path(workdir)
    names = [name for name, _ in tf.train.list_variables(path) if name.startswith("model/")]
    assert names
    return {name: tf.train.load_variable(path, name) for name in names if "OBJECT_GRAPH" not in name}


def assert_equal_to_rounding(workdir, expected):
    ours, theirs = weights(workdir), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=ROUNDING * max(scale, 1), err_msg=name)


def assert_same_bits(workdir, expected):
    for name, value in weights(expected).items():
        np.testing.assert_array_equal(weights(workdir)[name], value, err_msg=name)


def evaluations(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "eval/miou" in line]


@pytest.mark.parametrize("workers", (2, 4))
def test_workers_are_one_process_to_rounding(runs, workers):
    assert_equal_to_rounding(runs[workers], runs[1])
    assert [line["step"] for line in evaluations(runs[workers])] == [12, 24]
    for ours, alone in zip(evaluations(runs[workers]), evaluations(runs[1]), strict=True):
        assert ours["eval/miou"] == pytest.approx(alone["eval/miou"], abs=1e-3)  # a pixel on the border of two classes


def stopped(data_dir, workdir, workers):
    """A run of so many workers that was stopped after its first checkpoint."""
    processes = start(data_dir, workdir, *FLAGS, workers=workers)
    wait_for(lambda: seals.whole_steps(workdir / "stage_0"), processes)
    processes[0].send_signal(signal.SIGTERM)
    for status, _, errors in finish(processes):
        assert status == 42, errors


@pytest.mark.parametrize(("before", "after"), ((2, 4), (4, 1), (1, 2)))
def test_a_run_is_continued_by_another_number_of_workers(runs, data_dir, tmp_path, before, after):
    stopped(data_dir, tmp_path, before)
    done(start(data_dir, tmp_path, *FLAGS, workers=after))
    assert_equal_to_rounding(tmp_path, runs[1])


@pytest.mark.parametrize("workers", (2, 4))
def test_a_worker_that_is_killed_ends_all_and_they_go_on_to_the_same_bits(runs, data_dir, tmp_path, workers):
    processes = start(data_dir, tmp_path, *FLAGS, workers=workers)
    wait_for(lambda: seals.whole_steps(tmp_path / "stage_0"), processes)
    processes[-1].kill()
    for status, _, errors in finish(processes)[:-1]:
        assert status == 42, errors
        assert "another worker was lost" in errors and "Traceback" not in errors
    done(start(data_dir, tmp_path, *FLAGS, workers=workers))
    assert_same_bits(tmp_path, runs[workers])


@pytest.mark.parametrize("workers", (2, 4))
def test_a_worker_that_is_slow_changes_nothing(runs, data_dir, tmp_path, workers):
    processes = start(data_dir, tmp_path, *FLAGS, workers=workers)
    wait_for(lambda: seals.whole_steps(tmp_path / "stage_0"), processes)
    for _ in range(3):
        processes[1].send_signal(signal.SIGSTOP)
        time.sleep(3)
        processes[1].send_signal(signal.SIGCONT)
        time.sleep(0.2)
    done(processes)
    assert_same_bits(tmp_path, runs[workers])
