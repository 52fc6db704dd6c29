"""Atrous convolution: native and space-to-batch forms are one function."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers import AtrousConv2D, AtrousDepthwiseConv2D, ConvNormAct, SeparableConvNormAct
from tests.literal import convolution as literal
from tests.literal.ksac import atrous_convolution
from tests.random_layers import randomize, weights_of


@pytest.mark.parametrize("rate", (1, 2, 5, 20))
@pytest.mark.parametrize("size", ((9, 9), (6, 11)))
def test_the_native_form_is_keras_own(rate, size):
    features = tf.random.normal([2, *size, 3], seed=1)
    ours, theirs = (
        layer(4, 3, padding="same", dilation_rate=rate, use_bias=False) for layer in (AtrousConv2D, keras.layers.Conv2D)
    )
    ours(features), theirs(features)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(features), theirs(features), atol=1e-5)
    literal = atrous_convolution(features.numpy(), ours.kernel.numpy(), rate)
    np.testing.assert_allclose(ours(features), literal, atol=1e-5)


@pytest.mark.parametrize("rate", (1, 2))
def test_a_separable_convolution_is_depthwise_then_pointwise_each_normalized_and_rectified(rate):
    layer, features = SeparableConvNormAct(4, atrous_rate=rate), tf.random.normal([1, 5, 6, 3], seed=1)
    layer(features)
    randomize(layer)
    (kernel,), statistics = weights_of(layer, "depthwise"), [weight.numpy() for weight in layer.norm.weights]
    spatial = literal.normalize(literal.depthwise(features[0].numpy(), kernel, rate=rate), *statistics)
    pointwise = [weight.numpy() for weight in (*layer.pointwise.conv.weights, *layer.pointwise.norm.weights)]
    expected = literal.conv_norm_relu(np.maximum(spatial, 0), *pointwise)
    assert 0 < np.mean(spatial < 0) < 1 and 0 < np.mean(expected > 0) < 1
    np.testing.assert_allclose(layer(features)[0], expected, atol=1e-5)


def test_a_depthwise_layer_has_the_bias_and_the_activation_of_keras_own():
    features = tf.random.normal([1, 5, 6, 3], seed=1)
    ours, theirs = (
        kind(3, padding="same", activation="relu") for kind in (AtrousDepthwiseConv2D, keras.layers.DepthwiseConv2D)
    )
    ours(features), theirs(features)
    theirs.set_weights(randomize(ours).get_weights())
    assert len(ours.get_weights()) == 2 and np.mean(ours(features) == 0) > 0
    np.testing.assert_allclose(ours(features), theirs(features), atol=1e-5)


@pytest.mark.parametrize("policy", ("float64", "mixed_float16", "mixed_bfloat16"))
def test_every_precision_has_a_gradient(policy):
    layer = ConvNormAct(4, 3, atrous_rate=3, dtype=keras.mixed_precision.Policy(policy))
    features = tf.random.normal([2, 8, 9, 3])
    with tf.GradientTape() as tape:
        judged = tf.reduce_sum(tf.square(tf.cast(layer(features, training=True), tf.float32)))
    for gradient in tape.gradient(judged, layer.trainable_variables):
        assert np.all(np.isfinite(gradient.numpy()))


@pytest.mark.parametrize(
    "layer",
    (
        ConvNormAct(4, 3, strides=2, activation=None),
        ConvNormAct(4, 3, atrous_rate=2, activation="swish", norm=keras.layers.LayerNormalization),
        SeparableConvNormAct(4, atrous_rate=3),
    ),
)
def test_a_layer_survives_its_configuration(layer):
    features = tf.random.normal([1, 7, 8, 3])
    expected = layer(features)
    twin = type(layer).from_config(layer.get_config())
    twin(features)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(features), expected)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("kind", [AtrousConv2D, AtrousDepthwiseConv2D])
def test_a_centered_strided_kernel_sees_what_the_dense_one_sees_at_every_other_pixel(kind, size):
    filters = {"filters": 3} if kind is AtrousConv2D else {}
    strided = kind(kernel_size=5, strides=2, padding="same", centered=True, dtype="float64", **filters)
    dense = kind(kernel_size=5, padding="same", dtype="float64", **filters)
    features = np.random.default_rng(0).normal(size=[2, size, size + 3, 4])
    dense.build(features.shape)
    strided.build(features.shape)
    strided.set_weights(dense.get_weights())
    again = keras.layers.deserialize(keras.layers.serialize(strided))
    if not again.built:  # Keras 3 has the shapes in what it serializes
        again.build(features.shape)
    again.set_weights(dense.get_weights())
    for layer in (strided, again):
        # float64 rounds at 2e-16; no output is a sum of more than 101 terms
        np.testing.assert_allclose(layer(features), dense(features)[:, ::2, ::2], rtol=0, atol=1e-13)
