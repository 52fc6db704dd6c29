"""The confusion matrix against loops, and the figures against their definitions."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.metrics import confusion as metrics
from tests.literal import confusion

K = 4


def random_pair(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 3, K, 255], (2, 7, 9)).astype("int32")  # class 2 is never true
    return labels, rng.choice([0, 1, 2], labels.shape).astype("uint8")  # class 3 is never predicted


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_matrix_is_the_count_of_pairs_with_labels_beyond_the_classes_ignored(jit_compile):
    labels, classes = random_pair()
    count = tf.function(metrics.confusion_matrix, jit_compile=jit_compile)
    matrix = count(tf.constant(labels), tf.constant(classes), K)
    assert matrix.dtype == tf.int64
    np.testing.assert_array_equal(matrix, confusion.confusion_matrix(labels, classes, K))


def test_counts_beyond_float32s_integers_are_exact():
    count = 2**24 + 3
    matrix = metrics.confusion_matrix(tf.ones([count], tf.uint8), tf.ones([count], tf.uint8), 2)
    np.testing.assert_array_equal(matrix, [[0, 0], [0, count]])


def test_negative_labels_are_ignored():
    np.testing.assert_array_equal(metrics.confusion_matrix([-1, 0], [0, 0], 2), [[1, 0], [0, 0]])


def test_an_empty_batch_counts_nothing():
    empty = tf.zeros([0, 5, 5], tf.int32)
    np.testing.assert_array_equal(metrics.confusion_matrix(empty, empty, 3), np.zeros([3, 3]))


def test_iou_is_intersection_over_union_pixel_by_pixel():
    labels, classes = random_pair()
    matrix = metrics.confusion_matrix(labels, classes, K)
    expected = confusion.intersection_over_union(labels, classes, K)
    np.testing.assert_allclose(metrics.intersection_over_union(matrix), expected, rtol=1e-15)
    assert metrics.mean_iou(matrix) == pytest.approx(np.nanmean(expected), rel=1e-15)


def test_a_class_only_predicted_or_only_true_has_iou_zero_and_counts():
    matrix = [[3, 1, 0], [0, 0, 0], [2, 0, 0]]
    np.testing.assert_allclose(metrics.intersection_over_union(matrix), [3 / 6, 0, 0])
    assert metrics.mean_iou(matrix) == pytest.approx(0.5 / 3)


def test_an_absent_class_is_nan_and_left_out_of_the_means():
    matrix = np.diag([2, 0, 6])
    assert np.isnan(metrics.intersection_over_union(matrix)).tolist() == [False, True, False]
    assert np.isnan(metrics.class_accuracy(matrix)).tolist() == [False, True, False]
    assert metrics.mean_iou(matrix) == metrics.mean_accuracy(matrix) == 1.0


def test_accuracies_and_the_weighted_iou_follow_their_definitions():
    matrix = [[6, 2], [1, 1]]
    assert metrics.pixel_accuracy(matrix) == 7 / 10
    assert metrics.mean_accuracy(matrix) == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert metrics.class_shares(matrix).tolist() == [0.8, 0.2]
    assert metrics.frequency_weighted_iou(matrix) == pytest.approx(0.8 * 6 / 9 + 0.2 * 1 / 4)


def test_a_perfect_prediction_scores_one_everywhere():
    matrix = np.diag([5, 7])
    figures = (
        metrics.mean_iou,
        metrics.pixel_accuracy,
        metrics.mean_accuracy,
        metrics.frequency_weighted_iou,
    )
    assert [figure(matrix) for figure in figures] == [1.0] * 4


@pytest.mark.filterwarnings("error")
def test_no_labeled_pixel_gives_nan_without_a_warning():
    empty = np.zeros([3, 3], np.int64)
    figures = (
        metrics.mean_iou,
        metrics.pixel_accuracy,
        metrics.mean_accuracy,
        metrics.frequency_weighted_iou,
    )
    assert np.isnan([figure(empty) for figure in figures]).all()
