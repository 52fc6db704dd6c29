"""Two workers on one machine: real processes, connected over the loopback interface."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import best_path, read_best
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import convert
from tests.workers import by_slurm, finish, start, wait_for

STEPS = 40  # and checkpoints every two, so that a worker is killed in the middle
SO_MANY = f"--config.stages[0].steps={STEPS}"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(data_dir, tmp_path_factory):
    """The folder of a run without an interruption."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    ends = finish(start(data_dir, workdir, SO_MANY, f"--config.log_every={STEPS}"))
    for status, output, errors in ends:
        assert status == 0, errors
        assert "on 2 replica(s)" in errors and output.startswith("mIoU 0.")
    assert ends[0][1] == ends[1][1]
    return workdir


def test_two_workers_train_one_model_and_one_of_them_writes(straight, data_dir):
    loaded = load_model(straight)
    assert loaded.step == STEPS
    lines = [json.loads(line) for line in (straight / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS, STEPS]
    assert len((straight / "starts.jsonl").read_text().splitlines()) == 1
    best = read_best(straight)
    assert (best.step, best.miou, best.images) == (STEPS, lines[-1]["eval/miou"], 3)
    assert seals.damage(best_path(straight)) is None
    alone = evaluate(loaded.model, eval_batches("tiny", "val", data_dir=data_dir), num_classes=3)
    for name in ("miou", "pixel_accuracy"):  # the shares of the workers are the whole split
        assert lines[-1][f"eval/{name}"] == pytest.approx(alone[name], abs=1e-3)


def test_a_worker_that_is_killed_ends_the_other_and_both_go_on_to_the_same_weights(straight, data_dir, tmp_path):
    processes = start(data_dir, tmp_path, SO_MANY)
    wait_for(lambda: seals.whole_steps(tmp_path / "stage_0"), processes)
    processes[1].send_signal(signal.SIGKILL)
    (status, _, errors), _ = finish(processes)
    assert status == 42, errors
    assert "another worker was lost" in errors and "Traceback" not in errors
    for status, _, errors in finish(start(data_dir, tmp_path, SO_MANY, environments=by_slurm)):
        assert status == 0, errors
        assert "on 2 replica(s)" in errors
    paths = [checkpoint_path(workdir) for workdir in (tmp_path, straight)]
    for name, _ in tf.train.list_variables(paths[1]):
        found, expected = (tf.train.load_variable(path, name) for path in paths)
        np.testing.assert_array_equal(found, expected, err_msg=name)
