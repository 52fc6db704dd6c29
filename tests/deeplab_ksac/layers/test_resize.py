"""Resizing with corners aligned."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.layers import ImagePooling, ResizeLike, resize_bilinear, resize_labels


def literal_bilinear(x, height, width):
    """[H, W] -> [height, width]: the first and last pixel of both grids coincide."""
    rows = np.linspace(0, x.shape[0] - 1, height) if height > 1 else [0.0]
    columns = np.linspace(0, x.shape[1] - 1, width) if width > 1 else [0.0]
    result = np.empty((height, width))
    for i, y in enumerate(rows):
        for j, z in enumerate(columns):
            a, b = int(y), int(z)
            c, d = min(a + 1, x.shape[0] - 1), min(b + 1, x.shape[1] - 1)
            top = x[a, b] * (1 - (z - b)) + x[a, d] * (z - b)
            bottom = x[c, b] * (1 - (z - b)) + x[c, d] * (z - b)
            result[i, j] = top * (1 - (y - a)) + bottom * (y - a)
    return result


@pytest.mark.parametrize("size", ((9, 13), (3, 4), (5, 7), (1, 1)))
def test_bilinear_is_the_literal_one(size):
    x = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    ours = resize_bilinear(x[np.newaxis, ..., np.newaxis], size)[0, ..., 0]
    np.testing.assert_allclose(ours, literal_bilinear(x, *size), atol=1e-5)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32"))
def test_the_type_is_kept(dtype):
    assert resize_bilinear(tf.ones([1, 3, 3, 2], dtype), (5, 5)).dtype == dtype


def test_labels_get_no_new_value():
    labels = tf.constant([[[0, 7], [255, 3]]])
    resized = resize_labels(labels, (5, 9)).numpy()
    assert set(np.unique(resized)) == {0, 3, 7, 255}
    np.testing.assert_array_equal(resized[0, [0, 0, -1, -1], [0, -1, 0, -1]], [0, 7, 255, 3])


def test_the_layer_follows_an_image_of_any_size():
    layer = tf.function(lambda maps, image: ResizeLike()([maps, image]), reduce_retracing=True)
    for height, width in ((9, 11), (17, 5)):
        assert layer(tf.ones([1, 3, 4, 2]), tf.ones([1, height, width, 3])).shape == (1, height, width, 2)


def test_image_pooling_is_the_mean_at_every_pixel():
    layer, features = ImagePooling(3), tf.random.normal([2, 4, 5, 6])
    pooled = layer(features)
    mean = tf.reduce_mean(features, (1, 2))
    expected = tf.nn.relu(mean @ layer.conv.conv.kernel[0, 0]) / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(pooled, np.broadcast_to(expected[:, None, None], (2, 4, 5, 3)), atol=1e-5)
