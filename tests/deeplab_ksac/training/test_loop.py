"""Training runs from beginning to end, through interruptions and stages, and as they fail."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from datasets.pipeline import batch_filenames
from deeplab_ksac.experiment import Data, EvalSpec, part
from deeplab_ksac.experiments.common import with_car
from deeplab_ksac.training import loop, strategy
from deeplab_ksac.training.checkpoints import checkpoint_path, load_model
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert, with_steps


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("data"))


def train(experiment, data_dir, workdir, **options):
    keras.utils.set_random_seed(experiment.seed)
    return loop.train(
        experiment, data_dir=data_dir, workdir=workdir, strategy=strategy.create_strategy("one_device"), **options
    )


def weights(workdir):
    return load_model(workdir).model.get_weights()


class InterruptionError(Exception):
    pass


class InterruptingProgress(loop.SilentProgress):
    """Stops the run at its fourth report."""

    def __init__(self, total, label, start=0):
        self.reports = 0

    def update(self, n=1, **shown):
        self.reports += bool(shown)
        if self.reports == 3:
            raise InterruptionError


def test_a_run_learns_and_leaves_all_that_is_needed(data_dir, tmp_path):
    quick = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("adam", learning_rate=0.01), steps=30)
    experiment = dataclasses.replace(EXPERIMENT, stages=(quick,), log_every=10)
    figures = train(experiment, data_dir, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert losses[-1] < 0.9 * np.log(3)  # of guessing among three classes
    assert [line["step"] for line in lines] == [10, 20, 30, 30]
    assert 0 <= lines[0]["train/data_wait"] <= 1 and lines[0]["train/images_per_second"] > 0
    assert lines[-1]["eval/miou"] == pytest.approx(figures["miou"])
    loaded = load_model(tmp_path / "run")
    assert (loaded.step, loaded.stage, loaded.info.class_names) == (30, 0, ("class0", "class1", "class2"))
    assert loaded.experiment == experiment
    events = [str(path) for path in (tmp_path / "run/stage_0").glob("events*")]
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(events[0]) for value in event.summary.value}
    assert {"train/loss", "train/l2", "train/learning_rate", "eval/miou", "pictures/0"} <= tags


def test_an_interrupted_run_goes_on_to_the_same_weights(data_dir, tmp_path):
    experiment = with_steps(EXPERIMENT, 4)
    train(experiment, data_dir, tmp_path / "straight")
    with pytest.raises(InterruptionError):
        train(experiment, data_dir, tmp_path / "broken", progress=InterruptingProgress)
    assert load_model(tmp_path / "broken").step == 2
    train(experiment, data_dir, tmp_path / "broken")
    for straight, resumed in zip(weights(tmp_path / "straight"), weights(tmp_path / "broken")):
        np.testing.assert_array_equal(resumed, straight)
    lines = [json.loads(line) for line in (tmp_path / "broken/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]


def test_moving_centers_of_classes_survive_an_interruption(data_dir, tmp_path):
    regularized = with_car(with_steps(EXPERIMENT, 4), moving_average=0.9)
    train(regularized, data_dir, tmp_path / "straight")
    with pytest.raises(InterruptionError):
        train(regularized, data_dir, tmp_path / "broken", progress=InterruptingProgress)
    train(regularized, data_dir, tmp_path / "broken")
    for straight, resumed in zip(weights(tmp_path / "straight"), weights(tmp_path / "broken")):
        np.testing.assert_array_equal(resumed, straight)
    last = json.loads((tmp_path / "broken/metrics.jsonl").read_text().splitlines()[-2])
    assert {"train/class_aware/inter_c2p", "train/class_aware/center_similarity"} <= set(last)


def test_a_finished_run_is_left_as_it_is(data_dir, tmp_path):
    train(with_steps(EXPERIMENT, 1), data_dir, tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert train(with_steps(EXPERIMENT, 1), data_dir, tmp_path) is None
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_a_stage_starts_from_the_weights_of_the_one_before(data_dir, tmp_path):
    still = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e-30), steps=1)
    experiment = dataclasses.replace(EXPERIMENT, stages=(EXPERIMENT.stages[0], still))
    train(experiment, data_dir, tmp_path)
    first, second = (load_model(tmp_path, stage=stage).model.trainable_weights for stage in (0, 1))
    for before, after in zip(first, second):
        np.testing.assert_array_equal(before.numpy(), after.numpy())


def test_a_run_can_start_from_another_ones_weights(data_dir, tmp_path):
    train(with_steps(EXPERIMENT, 2), data_dir, tmp_path / "first")
    still = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e-30), steps=1)
    experiment = dataclasses.replace(EXPERIMENT, stages=(still,), seed=5)
    train(experiment, data_dir, tmp_path / "second", init_from=tmp_path / "first")
    for before, after in zip(
        load_model(tmp_path / "first").model.trainable_weights, load_model(tmp_path / "second").model.trainable_weights
    ):
        np.testing.assert_array_equal(before.numpy(), after.numpy())


def test_another_configuration_is_refused_with_the_difference(data_dir, tmp_path):
    train(with_steps(EXPERIMENT, 1), data_dir, tmp_path)
    with pytest.raises(ValueError, match=r"stages\[0\].steps: 1 -> 2"):
        train(with_steps(EXPERIMENT, 2), data_dir, tmp_path)


def test_a_nan_stops_the_run_with_step_term_and_files(data_dir, tmp_path):
    wild = dataclasses.replace(EXPERIMENT.stages[0], optimizer=part("sgd", learning_rate=1e30), steps=20)
    with pytest.raises(loop.DivergenceError) as caught:
        train(dataclasses.replace(EXPERIMENT, stages=(wild,), log_every=100), data_dir, tmp_path)
    words = str(caught.value)
    step = int(words.split("at step ")[1].split()[0])
    names = batch_filenames(("tiny/train",), data_dir=data_dir, batch_size=4, seed=0, step=step)
    assert all(name in words for name in names) and "cross_entropy/logits is " in words
    assert checkpoint_path(tmp_path).endswith("-2") if step >= 2 else True


def test_what_a_later_stage_or_the_evaluation_lacks_is_said_before_the_first_step(data_dir, tmp_path):
    later = dataclasses.replace(EXPERIMENT.stages[0], data=Data(sources=("more/train",)))
    for experiment, words in (
        (dataclasses.replace(EXPERIMENT, stages=(*EXPERIMENT.stages, later)), "no converted data set 'more'"),
        (dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("tiny/test")), "tiny has no split 'test'"),
    ):
        with pytest.raises(ValueError, match=words):
            train(experiment, data_dir, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_sets_of_different_classes_are_refused(tmp_path):
    data_dir = convert(tmp_path, "tiny")
    convert(tmp_path, "other", classes=2)
    mixed = dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("other/val"))
    with pytest.raises(ValueError, match="other has other classes than tiny: 2, 3"):
        train(mixed, data_dir, tmp_path / "run")


def test_a_data_set_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"no converted data set 'tiny' in .*; scripts/convert.py makes it"):
        train(EXPERIMENT, tmp_path, tmp_path / "run")
