"""The affinity loss, which teaches CPNet's prior which pixels share a class (Yu et al., CVPR 2020)."""

from collections.abc import Mapping

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.arguments import check_numbers, check_whole_numbers
from deeplab_ksac.layers import resize_labels
from deeplab_ksac.losses.reading import AFFINITY

SMALLEST_RATIO = 1e-7


def ideal_affinity(
    labels: tf.Tensor, size: tf.Tensor, prior_size: tf.Tensor, num_classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """What the prior should say: labels [N, H, W] -> two maps [N, P, p] of zeros and ones, float32.

    The first is 1 where a pixel of the features (P = h·w, `size`) and a position of the prior's grid (p, `prior_size`)
    have the same label, the second where both have one (0…num_classes − 1).
    """
    pixels, positions = (
        tf.reshape(resize_labels(labels, side), [tf.shape(labels)[0], -1]) for side in (size, prior_size)
    )
    pixels, positions = pixels[:, :, tf.newaxis], positions[:, tf.newaxis]
    labeled = [(x >= 0) & (x < num_classes) for x in (pixels, positions)]
    return tf.cast(pixels == positions, tf.float32), tf.cast(labeled[0] & labeled[1], tf.float32)


class AffinityLoss:
    """Affinity loss of CPNet: cross-entropy of every pair, and precision, recall and specificity of every row.

    Rows without a label count in no term, nor do pairs with a position that has none. A row counts in the terms that
    are defined for it (there is no specificity where all the image is of one class). The terms are means over the
    pairs and rows of an image, then over the images.

    Args:
        output: the affinity it reads, logits [N, h, w, *prior_size].
        weight: factor of both terms; the paper's factors of the terms are 1.
        num_classes: K; labels outside of 0…K − 1 are ignored.
    """

    reads = AFFINITY

    def __init__(self, output: str = "affinity", weight: float = 1.0, *, num_classes: int = 255):
        check_numbers("(0, inf)", weight=weight)
        check_whole_numbers(1, num_classes=num_classes)
        self.output, self.weight, self.num_classes = output, weight, num_classes

    def __call__(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """labels [N, H, W] -> {"affinity/unary": scalar, "affinity/global": scalar}."""
        logits = outputs[self.output]
        shape = tf.shape(logits)
        ideal, pairs = ideal_affinity(labels, shape[1:3], shape[3:], self.num_classes)
        logits = tf.cast(tf.reshape(logits, tf.shape(ideal)), tf.float32)
        return {
            "affinity/unary": self.weight * unary_loss(logits, ideal, pairs),
            "affinity/global": self.weight * global_loss(tf.sigmoid(logits), ideal, pairs),
        }


def unary_loss(logits: tf.Tensor, ideal: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of logits [N, P, p] over the pairs that count."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(ideal, logits) * pairs
    counts = tf.reduce_sum(pairs, axis=(1, 2))
    return tf.reduce_mean(tf.math.divide_no_nan(tf.reduce_sum(losses, axis=(1, 2)), counts))


def global_loss(prior: tf.Tensor, ideal: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """Minus the mean over the rows of log precision + log recall + log specificity of the prior [N, P, p] in (0, 1)."""
    own, others = ideal * pairs, (1 - ideal) * pairs
    found = tf.reduce_sum(prior * own, axis=2)
    precision = _log_ratio(found, tf.reduce_sum(prior * pairs, axis=2), tf.reduce_any(own > 0, axis=2))
    recall = _log_ratio(found, tf.reduce_sum(own, axis=2), tf.reduce_any(own > 0, axis=2))
    rejected = tf.reduce_sum((1 - prior) * others, axis=2)
    specificity = _log_ratio(rejected, tf.reduce_sum(others, axis=2), tf.reduce_any(others > 0, axis=2))
    rows = tf.math.count_nonzero(tf.reduce_any(pairs > 0, axis=2), axis=1, dtype=tf.float32)
    totals = tf.reduce_sum(precision + recall + specificity, axis=1)
    return -tf.reduce_mean(tf.math.divide_no_nan(totals, rows))


def _log_ratio(numerator, denominator, defined):
    """The logarithm of the ratio, 0 where it is not defined; bounded below, so that its gradient is finite."""
    ratio = tf.math.divide_no_nan(numerator, denominator)
    return tf.where(defined, tf.math.log(tf.maximum(ratio, SMALLEST_RATIO)), 0.0)
