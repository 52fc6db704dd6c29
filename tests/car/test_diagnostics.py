"""The statistics that are logged."""

import numpy as np
import tensorflow as tf

from car import class_statistics
from tests.car.examples import IGNORED, random_pixels


def test_statistics_are_their_definitions_over_present_classes():
    features, labels = random_pixels()
    members = [features[labels == k] for k in range(5) if (labels == k).any()]
    assert len(members) == 4
    variances = [np.mean(np.var(x, axis=0)) for x in members]
    directions = [x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)) for x in members]
    cosines = [a @ b for i, a in enumerate(directions) for j, b in enumerate(directions) if i != j]
    statistics = class_statistics(tf.constant(features.reshape([2, -1, 6])), np.minimum(labels, 5).reshape([2, -1]), 5)
    np.testing.assert_allclose(statistics["intra_class_variance"], np.mean(variances), rtol=1e-13)
    np.testing.assert_allclose(statistics["center_similarity"], np.mean(cosines), rtol=1e-13)


def test_statistics_without_a_pair_or_a_class_are_zero():
    features = tf.ones([1, 4, 3])
    alone = class_statistics(features, np.zeros([1, 4], "int32"), 5)
    assert alone["center_similarity"] == 0
    for value in class_statistics(features, np.full([1, 4], IGNORED, "int32"), 5).values():
        assert value == 0


def test_statistics_have_no_gradient():
    features = tf.random.stateless_normal([1, 4, 3], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(features)
        total = tf.add_n(list(class_statistics(features, tf.constant([[0, 0, 1, 1]]), 5).values()))
    assert tape.gradient(total, features) is None
