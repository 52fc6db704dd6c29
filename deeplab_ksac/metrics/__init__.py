"""Figures of a segmentation: the confusion matrix and what follows from it, boundaries."""

from deeplab_ksac.metrics.boundaries import boundary_counts, boundary_f_scores
from deeplab_ksac.metrics.confusion import (
    class_accuracy,
    class_shares,
    confusion_matrix,
    frequency_weighted_iou,
    intersection_over_union,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)

__all__ = [
    "boundary_counts",
    "boundary_f_scores",
    "class_accuracy",
    "class_shares",
    "confusion_matrix",
    "frequency_weighted_iou",
    "intersection_over_union",
    "mean_accuracy",
    "mean_iou",
    "pixel_accuracy",
]
