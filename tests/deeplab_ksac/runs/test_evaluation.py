"""A run's evaluation from Python, without any command."""

import dataclasses
import functools
import io
import json
import time

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import Views
from deeplab_ksac.precision import in_precision
from deeplab_ksac.runs import evaluation as runs
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model
from deeplab_ksac.runs.evaluation import RunEvaluation, follow_run
from deeplab_ksac.runs.workdir import claim_workdir, read_workdir
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT, NAMES, checkpoints_of, literal_matrix, trained_run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        yield place


@pytest.fixture(scope="module")
def loaded(place):
    return load_model(place / "workdir")


class Told:
    """A progress that keeps what it is told."""

    def __init__(self, total, label):
        self.total, self.label, self.done, self.closed = total, label, 0, False

    def update(self, n=1):
        self.done += n

    def close(self):
        self.closed = True


def test_a_run_is_evaluated_on_its_experiments_split_in_its_views(place, loaded, capfd):
    told = []

    def progress(total, label):
        told.append(Told(total, label))
        return told[0]

    evaluation = RunEvaluation(loaded, data_dir=place / "data", batch_size=1)
    result = evaluation(progress=progress)
    np.testing.assert_array_equal(result.confusion_matrix, literal_matrix(loaded.model, place))
    assert (result.split, result.views, result.step, result.stage) == (Split("tiny", "val"), Views(), 7, 0)
    assert result.class_names == NAMES and result.figures["images"] == 3
    assert "boundary_f_score" not in result.figures and "boundary_tolerance" not in result.as_dict()
    assert [(t.total, t.done, t.closed) for t in told] == [(3, 3, True)]
    assert capfd.readouterr().out == ""  # the library says nothing by itself


def test_views_split_and_boundaries_can_be_given(place, loaded):
    views = Views((0.5, 1.0), flip=True)
    evaluation = RunEvaluation(
        loaded, data_dir=place / "data", split=Split("tiny", "val"), views=views, boundary_tolerance=2.0
    )
    result = evaluation()
    np.testing.assert_array_equal(result.confusion_matrix, literal_matrix(loaded.model, place, views))
    assert 0 <= result.figures["boundary_f_score"] <= 1
    assert (result.as_dict()["scales"], result.as_dict()["boundary_tolerance"]) == ((0.5, 1.0), 2.0)
    with Image.open(io.BytesIO(evaluation.sheet(2))) as sheet:
        assert sheet.size[0] > 300


def test_in_half_precision_each_checkpoint_is_evaluated_rounded(place, tmp_path):
    own, options = load_model(place / "workdir"), {"data_dir": place / "data", "precision": "bfloat16"}
    spec, kernel = (
        own.experiment.model,
        next(weight for weight in own.model.weights if weight.name.startswith("classif")),
    )
    evaluation = RunEvaluation(own, **options)
    first = evaluation()
    assert (first.name, first.as_dict()["precision"]) == ("eval_tiny_val_bfloat16", "bfloat16")
    assert first.title == "tiny/val, step 7, scale 1, bfloat16"
    expected = literal_matrix(in_precision(own.model, spec, "bfloat16"), place)
    assert np.abs(first.confusion_matrix - expected).sum() <= 0.02 * expected.sum()  # of pixels whose classes are a tie
    kernel.assign(-kernel)
    claim_workdir(tmp_path, own.experiment, read_workdir(place / "workdir")[1])
    checkpoints_of(own.model, tmp_path).save(20)
    other = RunEvaluation(own, **options)().confusion_matrix
    assert np.abs(first.confusion_matrix - other).sum() > 0.2 * other.sum()
    kernel.assign(-kernel)
    evaluation.restore(checkpoint_path(tmp_path))
    np.testing.assert_array_equal(evaluation().confusion_matrix, other)
    assert evaluation.sheet(1) == RunEvaluation(evaluation.loaded, **options).sheet(1)


def test_a_model_of_other_classes_is_refused_with_the_first_difference():
    def info(name, *class_names):
        return DatasetInfo(name, class_names, ((0, 0, 0),) * len(class_names))

    runs.check_classes(info("a", "sky", "road"), info("b", "sky", "road"))
    with pytest.raises(ValueError, match="trained on a, does not fit b: class 1 is 'road' in the model and 'sea'"):
        runs.check_classes(info("a", "sky", "road"), info("b", "sky", "sea"))
    with pytest.raises(ValueError, match="the model has 1 classes, the data 2"):
        runs.check_classes(info("a", "sky"), info("b", "sky", "sea"))


def test_each_checkpoint_of_a_run_is_evaluated_and_its_last_ends_it(place, loaded, tmp_path):
    stage = dataclasses.replace(EXPERIMENT.stages[0], steps=20)
    claim_workdir(tmp_path, dataclasses.replace(EXPERIMENT, stages=(stage,)), read_workdir(place / "workdir")[1])
    run, begun, found, start = checkpoints_of(loaded.model, tmp_path), [], [], time.monotonic()
    run.save(7)

    def begin(first):
        begun.append(RunEvaluation(first, data_dir=place / "data"))
        return begun[-1]

    for evaluation in follow_run(tmp_path, begin, timeout=60, interval=0.01):
        found.append(evaluation.loaded.step)
        if len(found) == 1:
            run.save(20)  # the run goes on while this one is evaluated
    assert found == [7, 20] and len(begun) == 1 and time.monotonic() - start < 60


def test_a_run_that_ends_early_is_followed_to_its_end(place, loaded, tmp_path):
    stage = dataclasses.replace(EXPERIMENT.stages[0], steps=20, patience=1)
    experiment = dataclasses.replace(EXPERIMENT, stages=(stage,), evaluate_every=5)
    claim_workdir(tmp_path, experiment, read_workdir(place / "workdir")[1])
    run, found, start = checkpoints_of(loaded.model, tmp_path), [], time.monotonic()
    run.save(5)

    def evaluated(step):
        with (tmp_path / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps({"stage": 0, "step": step, "eval/miou": 0.5}) + "\n")

    begin = functools.partial(RunEvaluation, data_dir=place / "data")
    for evaluation in follow_run(tmp_path, begin, timeout=60, interval=0.01):
        found.append(evaluation.loaded.step)
        if found == [5]:
            evaluated(5)
            run.save(10)
        else:
            evaluated(10)  # what ends the stage, and may come after this evaluation of the checkpoint
    assert found == [5, 10] and time.monotonic() - start < 60


def test_a_run_without_checkpoints_ends_after_the_timeout(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint came within 0\.1 seconds"):
        list(follow_run(tmp_path / "none", None, timeout=0.1, interval=0.05))
