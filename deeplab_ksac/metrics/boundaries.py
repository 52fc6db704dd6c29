"""The boundary F-score: how much of the predicted outlines is on the true ones, and the reverse.

A boundary pixel of a class is a pixel of that class with a pixel of another class above, below, left or right of it.
A pixel that is ignored, and the border of the image, make no boundary: nobody knows what is there. Per class,

    precision = predicted boundary pixels within the tolerance of a true one / predicted boundary pixels,
    recall = true boundary pixels within the tolerance of a predicted one / true boundary pixels,
    F = 2 · precision · recall / (precision + recall),

with Euclidean distances in pixels and the counts summed over all images, as those of IoU are.
"""

import numpy as np
import tensorflow as tf

TOLERANCE = 0.0075  # of the diagonal: Csurka et al., "What is a good evaluation measure for semantic segmentation?"
MAX_CLASSES = 254  # two more values of a byte mean "ignored" and "outside"
COUNTS = ("predicted", "predicted_matched", "true", "true_matched")


def check_tolerance(tolerance: float) -> float:
    """`tolerance` itself: below 1 a share of the image's diagonal, else pixels.

    Raises:
        ValueError: if it is not positive.
    """
    if not tolerance > 0:
        raise ValueError(
            f"the boundary tolerance must be positive (a share of the diagonal, or pixels if ≥ 1), not {tolerance}"
        )
    return tolerance


def check_num_classes(num_classes: int) -> int:
    """`num_classes` itself.

    Raises:
        ValueError: there are more than 254.
    """
    if num_classes > MAX_CLASSES:
        raise ValueError(f"boundaries are counted for at most {MAX_CLASSES} classes, not {num_classes}")
    return num_classes


def boundary_counts(labels: tf.Tensor, classes: tf.Tensor, num_classes: int, tolerance: float = TOLERANCE) -> tf.Tensor:
    """Boundary pixels and how many of them are matched: [N, H, W], [N, H, W] -> int64 [4, K], rows as `COUNTS`.

    A pixel bounds its own class only, so one map holds the boundaries of all classes, and a match is an equal class
    among the shifts of the other map inside the disk of the tolerance: time does not grow with K.

    Args:
        labels: the truth; outside 0 … K−1 it is ignored, and so is the prediction there.
        classes: the prediction, 0 … K−1.
        num_classes: K.
        tolerance: below 1 a share of the image's diagonal, else pixels.

    Raises:
        ValueError: for more than 254 classes, or a tolerance that is not positive.
    """
    check_num_classes(num_classes)
    labels, classes = tf.cast(labels, tf.int32), tf.cast(classes, tf.int32)
    valid = (labels >= 0) & (labels < num_classes)
    true, predicted = (
        _outlines(tf.cast(tf.where(valid, values, num_classes), tf.uint8), num_classes) for values in (labels, classes)
    )
    true_matched, predicted_matched = _matches(true, predicted, _squared_radius(tf.shape(labels), tolerance))

    def count(outlines, chosen):
        bins = tf.reshape(tf.where(chosen, tf.cast(outlines, tf.int32), num_classes), [-1])
        return tf.math.unsorted_segment_sum(tf.ones_like(bins), bins, num_classes + 1)[:num_classes]

    everywhere = tf.ones_like(valid)
    counts = [
        count(predicted, everywhere),
        count(predicted, predicted_matched),
        count(true, everywhere),
        count(true, true_matched),
    ]
    return tf.cast(tf.stack(counts), tf.int64)


def boundary_f_scores(counts: np.ndarray) -> np.ndarray:
    """F of each class from summed `boundary_counts`: [4, K] -> float64 [K].

    NaN for a class without any boundary, true or predicted; 0 where only one of the two has one.
    """
    predicted, predicted_matched, true, true_matched = np.asarray(counts, np.float64)
    precision = predicted_matched / np.maximum(predicted, 1)
    recall = true_matched / np.maximum(true, 1)
    scores = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    return np.where(predicted + true > 0, scores, np.nan)


def _squared_radius(shape, tolerance):
    """The square of the tolerance in pixels, float32 scalar."""
    diagonal = tf.cast(shape[1] ** 2 + shape[2] ** 2, tf.float32)
    if check_tolerance(tolerance) >= 1:
        return tf.minimum(float(tolerance) ** 2, diagonal)  # what is farther than that takes memory alone
    return tolerance**2 * diagonal


def _outlines(classes, ignored):
    """The class of every boundary pixel, `ignored` elsewhere: [N, H, W] -> [N, H, W]."""
    framed = tf.pad(classes, [[0, 0], [1, 1], [1, 1]], constant_values=tf.cast(ignored, tf.uint8))
    height, width = tf.shape(classes)[1], tf.shape(classes)[2]
    on_boundary = tf.zeros_like(classes, tf.bool)
    for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
        neighbor = framed[:, top : top + height, left : left + width]
        on_boundary |= (neighbor != classes) & (neighbor != ignored)
    return tf.where(on_boundary & (classes != ignored), classes, ignored)


def _matches(true, predicted, squared_radius):
    """Where one map's class is found in the other within the radius: two [N, H, W] maps of bool.

    The shifts are those of a square around the disk, so that their number is known to XLA wherever the size is.
    """
    radius = tf.cast(tf.math.floor(tf.sqrt(squared_radius)), tf.int32)
    side, size = 2 * radius + 1, tf.shape(true)
    frame = tf.reshape(radius, [1, 1]) * tf.constant([[0, 0], [1, 1], [1, 1]])
    framed = [tf.pad(values, frame, constant_values=MAX_CLASSES + 1) for values in (predicted, true)]

    def found(down, right, *matched):
        shifted = [tf.ensure_shape(tf.slice(values, [0, down, right], size), true.shape) for values in framed]
        return [before | (other == own) for before, other, own in zip(matched, shifted, (true, predicted), strict=True)]

    def step(index, *matched):
        down, right = index // side, index % side
        inside = tf.cast((down - radius) ** 2 + (right - radius) ** 2, tf.float32) <= squared_radius
        return index + 1, *tf.cond(inside, lambda: found(down, right, *matched), lambda: list(matched))

    none = tf.zeros_like(true, tf.bool)
    _, true_matched, predicted_matched = tf.while_loop(
        lambda index, *_: index < side * side, step, (0, none, none), parallel_iterations=1
    )
    return true_matched, predicted_matched
