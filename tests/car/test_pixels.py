"""Labels at the size of the features."""

import numpy as np
import pytest
import tensorflow as tf

from car.pixels import labelled_pixels
from deeplab_ksac.tensor_ops.maps import resize_labels
from tests.literal import car as literal


@pytest.mark.parametrize("size", [(5, 7), (9, 9), (1, 3), (17, 33), (20, 40)])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_labels_are_resized_to_the_nearest_with_corners_aligned(size, dtype):
    labels = np.random.default_rng(0).integers(0, 256, [2, 17, 33])
    expected = [literal.resize_nearest(image, *size) for image in labels]
    np.testing.assert_array_equal(resize_labels(tf.constant(labels, dtype), size), expected)


def test_pooled_features_are_means_and_their_labels_are_resized_again():
    features = np.random.default_rng(0).normal(size=[1, 5, 5, 2])
    labels = np.random.default_rng(1).integers(0, 4, [1, 11, 11])
    pixels, found = labelled_pixels(tf.constant(features), tf.constant(labels), 4, pooling=2)
    assert pixels.shape == (1, 9, 2)
    np.testing.assert_allclose(pixels[0, 0], features[0, :2, :2].mean(axis=(0, 1)), rtol=1e-14)
    np.testing.assert_allclose(pixels[0, 8], features[0, 4, 4], rtol=1e-14)
    expected = literal.resize_nearest(literal.resize_nearest(labels[0], 5, 5), 3, 3)
    np.testing.assert_array_equal(found, expected.reshape([1, 9]))


def test_every_label_outside_of_the_classes_becomes_the_number_of_classes():
    labels = tf.constant([[[0, 1, 2], [-1, 255, 1]]])
    np.testing.assert_array_equal(labelled_pixels(tf.ones([1, 2, 3, 1]), labels, 2)[1], [[0, 1, 2, 2, 2, 1]])
