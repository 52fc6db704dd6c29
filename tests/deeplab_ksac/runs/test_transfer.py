"""Weights that do not fit the model that is to take them."""

import gc
import logging

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.runs.checkpoints import StageCheckpoints, restore_weights
from deeplab_ksac.training.averaging import MovingAverages
from tests.deeplab_ksac.fake_model import build_fake_model, build_pointwise_model


@pytest.mark.parametrize("other", [build_fake_model(6), build_pointwise_model(5)], ids=["shapes", "layers"])
def test_a_checkpoint_of_another_model_is_one_line(tmp_path, other):
    path = tf.train.Checkpoint(model=build_fake_model(5)).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(ValueError, match="ckpt-1 is a checkpoint of a model other") as raised:
        restore_weights(other, path)
    assert "\n" not in str(raised.value)


def said_of_another(tmp_path, caplog, written, read):
    """What is said where a checkpoint of one model is read into another, which stays as it was, and nothing else."""
    path = tf.train.Checkpoint(model=written).write(str(tmp_path / "ckpt-1"))
    before = [weight.numpy() for weight in read.weights]
    logging.getLogger("tensorflow").addHandler(caplog.handler)
    try:
        with pytest.raises(ValueError) as raised:
            restore_weights(read, path)
        told = str(raised.value)
        del raised
        gc.collect()  # TensorFlow's warnings come with the end of what it has read
    finally:
        logging.getLogger("tensorflow").removeHandler(caplog.handler)
    assert not caplog.records
    for weight, value in zip(read.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    start = f"{path} is a checkpoint of a model other than the one built here: "
    assert told.startswith(start) and told.isprintable()
    return told.removeprefix(start)


def test_weights_of_other_shapes_are_counted_and_the_first_is_named_with_both(tmp_path, caplog):
    told = said_of_another(tmp_path, caplog, build_fake_model(5), other := build_fake_model(6))
    assert told == (
        f"2 of {len(other.weights)} have another shape, the first classifier/kernel: [3, 3, 6, 5] there, "
        "[3, 3, 6, 6] here"
    )


def test_weights_that_are_missing_are_counted_and_the_first_is_named(tmp_path, caplog):
    told = said_of_another(tmp_path, caplog, build_pointwise_model(5), other := build_fake_model(5))
    name, number = other.weights[0].name.partition(":")[0], len(other.weights)
    assert told == f"{number} of {number} variables are missing, the first {name}"


def stage(folder, model, **options):
    optimizer = keras.optimizers.SGD(momentum=0.9)
    optimizer.build(model.trainable_variables)
    return StageCheckpoints(folder, 0, model, optimizer, strategy=tf.distribute.get_strategy(), **options)


def test_a_run_is_not_continued_with_another_model_or_another_optimizer_state(tmp_path):
    model = build_fake_model(5)
    stage(tmp_path, model, averages=MovingAverages(model)).save(3)
    other = build_fake_model(6)
    for checkpoints, words in (
        (stage(tmp_path, other, averages=MovingAverages(other)), "have another shape, the first classifier/kernel: "),
        (stage(tmp_path, build_fake_model(5)), r"\d+ of its values have no place here, the first averages/values/"),
    ):
        with pytest.raises(ValueError, match=f"ckpt-3 is a checkpoint of a model other than .*{words}") as raised:
            checkpoints.restore()
        assert str(raised.value).isprintable()
    assert stage(tmp_path, model, averages=MovingAverages(model)).restore() == 3


@pytest.mark.parametrize("value", (np.nan, np.inf))
def test_a_checkpoint_of_weights_that_are_not_finite_is_named(tmp_path, value):
    model = build_fake_model(5)
    model.weights[0].assign(tf.fill(model.weights[0].shape, value))
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "ckpt-1"))
    other = build_fake_model(5)
    with pytest.raises(ValueError) as raised:
        restore_weights(other, path)
    assert str(raised.value) == f"{path} cannot be used; NaN or infinite: {other.weights[0].name}"
