"""Weights that do not fit the model that is to take them."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.runs.checkpoints import restore_weights
from tests.deeplab_ksac.fake_model import build_fake_model, build_pointwise_model


@pytest.mark.parametrize("other", [build_fake_model(6), build_pointwise_model(5)], ids=["shapes", "layers"])
def test_a_checkpoint_of_another_model_is_one_line(tmp_path, other):
    path = tf.train.Checkpoint(model=build_fake_model(5)).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(ValueError, match="ckpt-1 is a checkpoint of a model other") as raised:
        restore_weights(other, path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", (np.nan, np.inf))
def test_a_checkpoint_of_weights_that_are_not_finite_is_named(tmp_path, value):
    model = build_fake_model(5)
    model.weights[0].assign(tf.fill(model.weights[0].shape, value))
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "ckpt-1"))
    other = build_fake_model(5)
    with pytest.raises(ValueError) as raised:
        restore_weights(other, path)
    assert str(raised.value) == f"{path} cannot be used; NaN or infinite: {other.weights[0].name}"
