"""Adaptive pooling at every size."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers.pooling import PyramidPooling, adaptive_average_pool
from tests.literal import convolution as literal
from tests.random_layers import randomize


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (33, 17), (2, 12)])
def test_adaptive_pooling_takes_the_means_of_its_regions(size, bins):
    image = np.random.default_rng(0).normal(size=[2, *size, 3])
    for pool in (adaptive_average_pool, tf.function(adaptive_average_pool)):
        for features, pooled in zip(image, pool(tf.constant(image), bins), strict=True):
            np.testing.assert_allclose(pooled, literal.adaptive_average_pool(features, bins), atol=1e-12)


def test_unknown_sizes_are_pooled_alike():
    image = np.random.default_rng(0).normal(size=[2, 33, 17, 3])
    spec = tf.TensorSpec([None, None, None, 3], tf.float64)
    dynamic = tf.function(lambda x: adaptive_average_pool(x, 6), input_signature=[spec])
    np.testing.assert_allclose(dynamic(image), adaptive_average_pool(tf.constant(image), 6), atol=1e-12)


def test_means_of_half_precision_maps_are_float32():
    pooled = adaptive_average_pool(tf.ones([1, 400, 400, 1], tf.bfloat16), 1)
    assert pooled.dtype == tf.float32
    assert float(pooled[0, 0, 0, 0]) == pytest.approx(1, abs=1e-5)


def test_pyramid_pooling_keeps_the_features_in_front():
    image = np.random.default_rng(0).normal(size=[1, 5, 7, 3]).astype("float32")
    result = PyramidPooling(2, (1, 6))(image)
    assert result.shape == [1, 5, 7, 7]
    np.testing.assert_array_equal(result[..., :3], image)


def test_pyramid_pooling_has_a_convolution_for_each_number_of_regions_in_its_place():
    image, layer = np.random.default_rng(0).normal(size=[5, 7, 3]).astype("float32"), PyramidPooling(2, (1, 3))
    layer(image[np.newaxis])
    randomize(layer)
    parts = [image]
    for bins, branch in zip((1, 3), layer.branches, strict=True):
        weights = [np.asarray(weight) for weight in (*branch.conv.weights, *branch.norm.weights)]
        means = literal.adaptive_average_pool(image, bins)
        parts.append(literal.resize(literal.conv_norm_relu(means, *weights), 5, 7))
    np.testing.assert_allclose(layer(image[np.newaxis])[0], np.concatenate(parts, axis=-1), atol=1e-5)


def test_pyramid_pooling_comes_back_from_its_configuration():
    layer = PyramidPooling(2, (1, 6))
    copy = PyramidPooling.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert keras.saving.get_registered_name(PyramidPooling) == "deeplab_ksac>PyramidPooling"


def test_wrong_bins_are_refused():
    with pytest.raises(ValueError, match=r"bins must be one or more numbers of at least 1, not \(0,\)"):
        PyramidPooling(2, (0,))
