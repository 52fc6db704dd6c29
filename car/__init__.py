"""Class-aware regularization, CAR (chapter 4), for any model of Keras 2 or 3, on TensorFlow, JAX or PyTorch."""

from car.centers import class_centers
from car.diagnostics import class_statistics
from car.endpoint import ClassAwareEndpoint
from car.losses import inter_center_to_center, inter_center_to_pixel, intra_center_to_pixel
from car.predicted import completed_labels, predicted_labels
from car.regularizer import ClassAwareRegularizer
from car.settings import ClassAwareSettings

__all__ = [
    "ClassAwareEndpoint",
    "ClassAwareRegularizer",
    "ClassAwareSettings",
    "class_centers",
    "class_statistics",
    "completed_labels",
    "inter_center_to_center",
    "inter_center_to_pixel",
    "intra_center_to_pixel",
    "predicted_labels",
]
