"""AxialAttention against its equations."""

import numpy as np
import pytest
import tensorflow as tf

from caa import AxialAttention, SqueezeExcite, attend_columns, attend_rows
from caa.axial import attention_weights
from deeplab_ksac.any_keras import keras
from tests.literal import caa as literal
from tests.random_layers import path_of, randomize, weights_of

SIZES = [(1, 1), (4, 4), (5, 3), (2, 7)]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", SIZES)
def test_axial_attention_is_equation_3_5(size):
    image = np.random.default_rng(0).normal(size=[2, *size, 6])
    layer = AxialAttention(5, 3, norm=None)
    layer(image)
    randomize(layer)
    for features, result in zip(image, layer(image), strict=True):
        theta, phi, value = (
            features @ kernel[0, 0] + bias for kernel, bias in (weights_of(layer, n) for n in ("theta", "phi", "value"))
        )
        np.testing.assert_allclose(result, literal.axial_attention(theta, phi, value), atol=1e-12)


def test_attention_to_a_line_of_equal_pixels_is_their_mean():
    rng = np.random.default_rng(0)
    value = rng.normal(size=[1, 4, 3, 2])
    same = np.ones([1, 4, 3, 5])
    np.testing.assert_allclose(attend_columns(same, value), np.broadcast_to(value.mean(1, keepdims=True), value.shape))
    np.testing.assert_allclose(attend_rows(same, value), np.broadcast_to(value.mean(2, keepdims=True), value.shape))


def test_attention_weights_sum_to_one_however_large_the_energies_are():
    query = 100 * np.random.default_rng(0).normal(size=[3, 4, 8]).astype("float32")
    weights = attention_weights(tf.constant(query), tf.constant(query))
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), np.ones([3, 4]), atol=4 * 2**-23)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_softmax_of_half_precision_is_that_of_float32_rounded_once(dtype):
    query, key = (tf.constant(np.random.default_rng(seed).normal(size=[1, 40, 4]), dtype) for seed in (0, 1))
    energy = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)
    np.testing.assert_array_equal(attention_weights(query, key), tf.cast(tf.nn.softmax(energy), dtype))


def test_query_and_key_are_one_transformation_and_the_axes_have_their_own():
    layer = AxialAttention(5, 3)
    layer(np.zeros([1, 2, 2, 4], "float32"))
    kernels = [list(weight.shape) for weight in layer.trainable_weights if "kernel" in weight.name]
    assert kernels == [[1, 1, 4, 3], [1, 1, 4, 3], [1, 1, 4, 5]]


def test_transformations_are_normalized_and_rectified_by_default_and_plain_without_norm():
    features = np.random.default_rng(0).normal(size=[1, 3, 3, 4]).astype("float32")
    normalized, plain = AxialAttention(5, 3), AxialAttention(5, 3, norm=None)
    for layer in (normalized, plain):
        layer(features)
    assert tf.reduce_min(normalized.value(features)) == 0
    assert tf.reduce_min(plain.value(features)) < 0
    assert not any("norm" in path_of(weight) for weight in plain.weights)
    assert all(part.conv.use_bias for part in (plain.theta, plain.phi, plain.value))


def test_the_norm_factory_is_called_with_a_name():
    names = []

    def norm(name):
        names.append(name)
        return keras.layers.LayerNormalization(name=name)

    AxialAttention(4, 2, norm=norm)
    assert names == ["norm"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be an integer of at least 1, not 0"),
        ({"filters": 2.5}, "filters must be .* not 2.5"),
        ({"filters": 4, "key_filters": -3}, "key_filters must be .* not -3"),
    ],
)
def test_wrong_arguments_are_refused_with_their_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        AxialAttention(**arguments)


def test_squeeze_excite_agrees_with_keras_cv():
    keras_cv = pytest.importorskip("keras_cv")
    features = np.random.default_rng(0).normal(size=[2, 3, 5, 16]).astype("float32")
    ours, theirs = SqueezeExcite(4), keras_cv.layers.SqueezeAndExcite2D(16, bottleneck_filters=4)
    ours(features), theirs(features)
    randomize(ours)
    theirs.set_weights([w[np.newaxis, np.newaxis] if w.ndim == 2 else w for w in ours.get_weights()])
    np.testing.assert_allclose(ours(features), theirs(features), atol=1e-6)


def test_squeeze_excite_refuses_a_ratio_without_hidden_units():
    with pytest.raises(ValueError, match="ratio must be an integer of at least 1, not 0"):
        SqueezeExcite(0)
    with pytest.raises(ValueError, match="ratio must be at most the 8 channels, not 16"):
        SqueezeExcite(16)(np.zeros([1, 2, 2, 8], "float32"))
