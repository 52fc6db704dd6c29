"""Several devices give the step that one gives with the whole batch; what CAR sums over them counts once."""

import numpy as np
import pytest

from deeplab_ksac.any_keras import keras
from tests.keras3.arrays import JAX, TENSORFLOW, random
from tests.keras3.public_layers import CHANNELS, LAYERS, NUM_CLASSES
from tests.random_layers import path_of

NAMES = ("KSAC", "ChannelizedAxialAttention")


def model_of_few_layers():
    """A model (features, labels) -> logits, of the same weights whenever it is made."""
    keras.utils.set_random_seed(0)
    features, labels = keras.Input([6, 6, CHANNELS]), keras.Input([6, 6], dtype="int32")
    x = features
    for name in NAMES:
        x = LAYERS[name]()(x)
    x = LAYERS["ClassAwareEndpoint"]()(x, labels)
    model = keras.Model([features, labels], keras.layers.Conv2D(NUM_CLASSES, 1)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=JAX)
    return model


def fitted(model):
    """The model's weights after two steps, and what is logged."""
    features = random([4, 6, 6, CHANNELS])
    labels = np.random.default_rng(0).integers(0, NUM_CLASSES, [4, 6, 6]).astype("int32")
    labels[:2][labels[:2] == 1] = 255  # the first half lacks a class
    targets = np.minimum(labels, NUM_CLASSES - 1)
    logs = model.fit([features, labels], targets, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    return {path_of(w): np.asarray(v) for w, v in zip(model.weights, model.get_weights(), strict=True)}, logs


def assert_same(several, one):
    """Two runs agree to what two steps make of sums of 144 pixels in another order, in float32."""
    (weights, logs), (expected_weights, expected_logs) = several, one
    for (name, value), expected in zip(weights.items(), expected_weights.values(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=4 * 144 * 2**-24, err_msg=name)
    assert set(logs) == set(expected_logs)
    for name, values in expected_logs.items():
        np.testing.assert_allclose(logs[name], values, rtol=0, atol=8 * 144 * 2**-24, err_msg=name)


@pytest.mark.skipif(not TENSORFLOW, reason="tf.distribute is TensorFlow's")
def test_two_replicas_of_tf_distribute_are_one():
    from tests.replicas import two_replicas

    one = fitted(model_of_few_layers())
    with two_replicas().scope():
        model = model_of_few_layers()
    assert_same(fitted(model), one)


@pytest.mark.skipif(not JAX, reason="keras.distribution is JAX's")
def test_two_devices_of_keras_distribution_are_one():
    one = fitted(model_of_few_layers())
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    try:
        several = fitted(model_of_few_layers())
    finally:
        keras.distribution.set_distribution(None)
    assert_same(several, one)
