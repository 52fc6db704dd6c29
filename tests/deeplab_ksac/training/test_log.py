"""Logs of a resumed stage have neither gaps nor doubles."""

import json

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.runs import workdir
from deeplab_ksac.training.listeners import EvaluationResult
from deeplab_ksac.training.log import StageLog, evaluation_pictures


def logged(log, *steps, evaluation=None):
    for step in steps:
        for listener in log.listeners:
            listener.on_step(step, {"loss": 1.0 / step, "l2": 0.0})
    if evaluation:
        log.write_evaluation(evaluation, EvaluationResult({"miou": 0.5}))


def make_log(folder, first, evaluated=True):
    return StageLog(folder, 0, first, evaluated=evaluated, writes=True)


def events(folder):
    """(step, tag) of every scalar in all event files, in order."""
    found = []
    for path in sorted((folder / "stage_0").glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(event.step, value.tag) for value in event.summary.value]
    return sorted(found)


def lines(folder):
    return [(line["step"], sorted(set(line) - {"stage", "step"})) for line in workdir.read_metrics(folder)]


@pytest.mark.parametrize("evaluated", [True, False])
def test_what_came_after_the_checkpoint_is_logged_once(tmp_path, evaluated):
    log = make_log(tmp_path, 0)
    logged(log, 1, 2, 3, evaluation=2 if evaluated else None)
    if not evaluated:  # of the evaluation after step 2 pictures were written, no figures
        log.listeners[0].on_evaluation(2, EvaluationResult({}, pictures=[np.zeros([2, 2, 3], np.uint8)]))
    log.close()
    assert workdir.was_evaluated(tmp_path, 0, 2) == evaluated
    log = make_log(tmp_path, 2, evaluated)
    logged(log, 3, 4, evaluation=4)
    log.close()
    assert [step for step, tag in events(tmp_path) if tag == "train/loss"] == [1, 2, 3, 4]
    assert [step for step, tag in events(tmp_path) if tag == "eval/miou"] == [2, 4][not evaluated :]
    assert not [tag for _, tag in events(tmp_path) if tag.startswith("pictures")]
    steps = [step for step, _ in lines(tmp_path)]
    assert steps == ([1, 2, 2, 3, 4, 4] if evaluated else [1, 2, 3, 4, 4])


def test_files_that_were_broken_off_are_read_up_to_there(tmp_path):
    log = make_log(tmp_path, 0)
    logged(log, 1, 2)
    log.close()
    (path,) = (tmp_path / "stage_0").glob("events*")
    path.write_bytes(path.read_bytes()[:-3])
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"stage": 0, "st')
    make_log(tmp_path, 2).close()
    assert [step for step, _ in lines(tmp_path)] == [1, 2]
    assert events(tmp_path) == [(1, "train/l2"), (1, "train/loss"), (2, "train/loss")]
    assert all(json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines())


def test_files_without_anything_to_take_out_are_left_as_they_are(tmp_path):
    log = make_log(tmp_path, 0)
    logged(log, 1, 2)
    log.close()
    (path,) = (tmp_path / "stage_0").glob("events*")
    before = path.stat().st_mtime_ns, path.read_bytes()
    make_log(tmp_path, 2).close()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_full_disk_is_said_with_the_file(tmp_path):
    log = make_log(tmp_path, 0)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"metrics.jsonl cannot be written: No space left on device"):
        logged(log, 1)


def test_what_a_killed_trimming_left_is_taken_away(tmp_path):
    log = make_log(tmp_path, 0)
    logged(log, 1, 2, 3)
    log.close()
    (path,) = (tmp_path / "stage_0").glob("events*")
    for name in (f".{path.name}.host.1.partial", f"{path.name}.partial"):  # TensorBoard would read both
        path.with_name(name).write_bytes(path.read_bytes())
    make_log(tmp_path, 2).close()
    assert not list((tmp_path / "stage_0").glob("*partial"))
    assert [step for step, tag in events(tmp_path) if tag == "train/loss"] == [1, 2]


def test_pictures_need_the_memory_of_a_window_and_not_of_the_image(tmp_path):
    seen = []

    def model(image):
        seen.append(tuple(image.shape[1:3]))
        return tf.one_hot(tf.cast(image[..., 0], tf.int32) % 3, 3)

    info = DatasetInfo("tiny", ("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (99, 99, 99)), {})
    batches = [{"image": tf.zeros([1, 40, 50, 3]), "labels": tf.zeros([1, 40, 50], tf.int32)}]
    log = make_log(tmp_path, 0)
    pictures = evaluation_pictures(model, batches, info, Views(window=(16, 16)))
    log.write_evaluation(1, EvaluationResult({}, pictures=pictures))
    log.close()
    assert set(seen) == {(16, 16)}
    assert events(tmp_path) == [(1, "pictures/0")]
