"""How good a segmentation is: the confusion matrix and the figures that follow from it.

The matrix is counted on the device, in integers; everything else is a function of the summed matrix [K, K]
(rows are the truth, columns the prediction) and is computed on the host in float64.
"""

import numpy as np
import tensorflow as tf


def confusion_matrix(labels: tf.Tensor, classes: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Counts of (truth, prediction) pairs: integers [...], integers [...] -> int64 [K, K].

    Exact for any number of pixels below 2^31 per call (integer sums, unlike a product of one-hot matrices,
    which in float32 is exact only to 2^24), and usable under `jit_compile` and in every replica.

    Args:
        labels: the truth; values outside 0 … K−1 are ignored.
        classes: the prediction, same shape, 0 … K−1.
        num_classes: K.
    """
    labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
    classes = tf.reshape(tf.cast(classes, tf.int32), [-1])
    valid = (labels >= 0) & (labels < num_classes)
    cell = tf.where(valid, labels * num_classes + classes, 0)
    counts = tf.math.unsorted_segment_sum(tf.cast(valid, tf.int32), cell, num_classes * num_classes)
    return tf.cast(tf.reshape(counts, [num_classes, num_classes]), tf.int64)


def intersection_over_union(matrix: np.ndarray) -> np.ndarray:
    """IoU of each class, TP / (TP + FP + FN): [K, K] -> float64 [K]; NaN if neither true nor predicted."""
    matrix = np.asarray(matrix, np.float64)
    intersection = np.diag(matrix)
    return _ratio(intersection, matrix.sum(axis=0) + matrix.sum(axis=1) - intersection)


def mean_iou(matrix: np.ndarray) -> float:
    """mIoU, the mean over the classes true or predicted somewhere: [K, K] -> float; NaN without any."""
    return _mean_of_known(intersection_over_union(matrix))


def class_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Recall of each class, TP / (TP + FN): [K, K] -> float64 [K]; NaN for a class absent from the truth."""
    matrix = np.asarray(matrix, np.float64)
    return _ratio(np.diag(matrix), matrix.sum(axis=1))


def mean_accuracy(matrix: np.ndarray) -> float:
    """The mean recall over the classes of the truth: [K, K] -> float; NaN without any."""
    return _mean_of_known(class_accuracy(matrix))


def pixel_accuracy(matrix: np.ndarray) -> float:
    """The share of labeled pixels that are right: [K, K] -> float; NaN without any."""
    matrix = np.asarray(matrix, np.float64)
    return float(_ratio(np.trace(matrix), matrix.sum()))


def class_shares(matrix: np.ndarray) -> np.ndarray:
    """Each class's share of the labeled pixels, summing to 1: [K, K] -> float64 [K]; NaN without any."""
    matrix = np.asarray(matrix, np.float64)
    return _ratio(matrix.sum(axis=1), matrix.sum())


def frequency_weighted_iou(matrix: np.ndarray) -> float:
    """IoU weighted by the classes' share of the truth: [K, K] -> float; NaN without any labeled pixel."""
    shares = class_shares(matrix)
    if np.isnan(shares).any():
        return float("nan")
    return float(np.sum(shares * np.nan_to_num(intersection_over_union(matrix))))


def _ratio(numerator, denominator):
    """numerator / denominator, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    result = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _mean_of_known(values):
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
