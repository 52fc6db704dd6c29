"""Class centers against Eq. 4.1."""

import numpy as np
import tensorflow as tf

from car import class_centers
from car.centers import moved_centers
from tests.car.examples import finite_differences, random_pixels
from tests.literal import car as literal


def as_images(features, labels, num_classes):
    """[N, h, w, …] -> [N, P, …], the ignored label K."""
    images = len(labels)
    return features.reshape([images, -1, features.shape[-1]]), np.minimum(labels, num_classes).reshape([images, -1])


def test_centers_of_images_and_of_the_batch_are_equation_4_1():
    features, labels = as_images(*random_pixels(), 5)
    centers, counts = class_centers(tf.constant(features), labels, 5)
    for pixels, y, mu, sizes in zip(features, labels, centers, counts, strict=True):
        np.testing.assert_allclose(mu, literal.class_centers(pixels, y, 5), atol=1e-14)
        np.testing.assert_array_equal(sizes, [np.sum(y == k) for k in range(5)])
    flat, together = features.reshape([1, -1, 6]), labels.reshape([1, -1])
    batch, _ = class_centers(tf.constant(flat), together, 5)
    np.testing.assert_allclose(batch[0], literal.class_centers(flat[0], together[0], 5), atol=1e-14)


def test_an_absent_class_has_its_center_at_zero():
    centers, counts = class_centers(tf.ones([1, 4, 2]), [[0, 0, 1, 1]], 3)
    np.testing.assert_array_equal(centers[0, 2], [0.0, 0.0])
    np.testing.assert_array_equal(counts, [[2, 2, 0]])


def test_the_gradient_of_centers_is_that_of_finite_differences():
    features, labels = as_images(*random_pixels(shape=(2, 2, 3), channels=2), 5)
    weights = np.random.default_rng(1).normal(size=[2, 5, 2])
    x = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(class_centers(x, labels, 5)[0] * weights)

    def literal_total(values):
        return sum(np.sum(literal.class_centers(X, y, 5) * w) for X, y, w in zip(values, labels, weights, strict=True))

    # Linear in x: rounding alone, 2⁻⁵³ · |total| / step.
    np.testing.assert_allclose(tape.gradient(total, x), finite_differences(literal_total, features), atol=1e-9)


def test_centers_of_many_pixels_lose_nothing_to_float32():
    labels = np.zeros([1, 66049], "int32")
    centers, counts = class_centers(tf.ones([1, 66049, 1]), labels, 2)
    assert centers[0, 0, 0] == 1
    assert counts[0, 0] == 66049


def test_the_moving_average_moves_present_classes_only():
    old, new = np.full([1, 3, 2], 10.0), np.zeros([1, 3, 2])
    moved = moved_centers(old, new, np.array([[4.0, 0.0, 1.0]]), 0.9)
    np.testing.assert_allclose(moved[0], [[9, 9], [10, 10], [9, 9]], rtol=1e-15)
