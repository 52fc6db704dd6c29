"""The confusion matrix and IoU pixel by pixel, in Python loops."""

import numpy as np


def confusion_matrix(labels, classes, num_classes):
    """Counts of (truth, prediction), truths outside 0 … K−1 left out."""
    matrix = np.zeros([num_classes, num_classes], np.int64)
    for truth, prediction in zip(np.ravel(labels), np.ravel(classes), strict=True):
        if 0 <= truth < num_classes:
            matrix[truth, prediction] += 1
    return matrix


def intersection_over_union(labels, classes, num_classes):
    """|truth = k and prediction = k| / |truth = k or prediction = k| over the labeled pixels; NaN for 0/0."""
    labels, classes = np.ravel(labels), np.ravel(classes)
    labeled = (labels >= 0) & (labels < num_classes)
    result = []
    for k in range(num_classes):
        union = np.sum(labeled & ((labels == k) | (classes == k)))
        intersection = np.sum(labeled & (labels == k) & (classes == k))
        result.append(intersection / union if union else np.nan)
    return np.array(result)
