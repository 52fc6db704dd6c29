"""The normalization value and its configuration."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers import BatchNorm, ConvNormAct, deserialize_norm, serialize_norm


@pytest.mark.parametrize(
    "norm", (BatchNorm(0.9, 1e-5, False), keras.layers.LayerNormalization, keras.layers.BatchNormalization)
)
def test_a_factory_survives_its_configuration(norm):
    restored = deserialize_norm(serialize_norm(norm))
    assert restored(name="one").get_config() == norm(name="one").get_config()


def test_a_restored_layer_is_still_synchronized():
    layer = BatchNorm(synchronized=True)()
    assert type(layer).from_config(layer.get_config()).synchronized
    assert deserialize_norm(serialize_norm(type(layer)))().synchronized is False


def test_the_settings_reach_the_layer():
    layer = ConvNormAct(3, norm=BatchNorm(momentum=0.7, epsilon=0.01)).norm
    assert (layer.momentum, layer.epsilon, layer.synchronized) == (0.7, 0.01, True)


def test_statistics_are_those_of_the_batch():
    layer, features = BatchNorm(momentum=0.0)(), tf.random.normal([2, 5, 5, 3], mean=2.0, seed=1)
    layer(features, training=True)
    np.testing.assert_allclose(layer.moving_mean, np.mean(features, (0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, np.var(features, (0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    "settings, words",
    (
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), not 1.0"),
        ({"epsilon": 0}, "epsilon must be above 0, not 0"),
    ),
)
def test_a_wrong_setting_is_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        BatchNorm(**settings)
