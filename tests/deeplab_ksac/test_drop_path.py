"""Stochastic depth: image by image, anew at every step, the expectation kept."""

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.dropout import DropPath


def test_an_image_is_dropped_whole_or_divided_by_what_is_kept():
    x = np.random.default_rng(0).uniform(1, 2, [64, 3, 2, 5]).astype("float32")
    ratio = (DropPath(0.25)(x, training=True) / x).numpy()
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1, :1], ratio.shape), rtol=1e-6)
    kept = ratio[:, 0, 0, 0] > 0
    np.testing.assert_allclose(ratio[kept], 1 / 0.75, rtol=1e-6)
    assert 32 <= kept.sum() < 64  # 48 expected, deviation 3.5


def test_a_compiled_step_draws_anew_every_time():
    step = tf.function(lambda layer, x: layer(x, training=True))
    layer, x = DropPath(0.5), tf.ones([32, 1, 1, 1])
    draws = {tuple(step(layer, x).numpy().ravel()) for _ in range(4)}
    assert len(draws) == 4  # two of them are equal with probability 6 / 2^32


def test_outside_of_training_and_at_rate_0_nothing_happens():
    x = tf.random.stateless_normal([4, 6, 3], [0, 0])
    np.testing.assert_array_equal(DropPath(0.9)(x), x)
    np.testing.assert_array_equal(DropPath(0.0)(x, training=True), x)


def test_it_comes_back_from_its_configuration():
    layer = keras.layers.deserialize(keras.layers.serialize(DropPath(0.3, name="drop")))
    assert (type(layer), layer.rate, layer.name) == (DropPath, 0.3, "drop")
