"""The Dice loss: how much of every class is covered, whatever its size."""

from collections.abc import Mapping

import tensorflow as tf

from deeplab_ksac.arguments import check_numbers
from deeplab_ksac.losses.pixel import sum_over_replicas
from deeplab_ksac.losses.reading import LOGITS


class Dice:
    """1 − the mean soft Dice coefficient of the classes in the labels of the global batch.

    The coefficient of class k is (2 Σ p_k y_k + s) / (Σ p_k + Σ y_k + s), the sums over the labeled pixels of all
    replicas. A class that no pixel of the global batch has is left out; of no labeled pixel at all the loss is 0.

    Args:
        output: the logits it reads, [N, H, W, K].
        weight: factor of the term.
        smooth: s ≥ 0, in pixels.
    """

    reads = LOGITS

    def __init__(self, output: str = "logits", weight: float = 1.0, *, smooth: float = 1.0):
        check_numbers("(0, inf)", weight=weight)
        check_numbers("[0, inf)", smooth=smooth)
        self.output, self.weight, self.smooth = output, weight, smooth

    def __call__(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """labels [N, H, W] in 0…K-1, all else ignored -> {"dice/<output>": scalar}."""
        logits = tf.cast(outputs[self.output], tf.float32)
        truth = tf.one_hot(labels, logits.shape[-1])  # nothing but zeros for an ignored pixel
        labeled = tf.reduce_sum(truth, axis=-1, keepdims=True)
        predicted = tf.nn.softmax(logits) * labeled
        sums = tf.stack([tf.reduce_sum(x, axis=(0, 1, 2)) for x in (predicted * truth, predicted, truth)])
        common, predicted, true = tf.unstack(sum_over_replicas(sums))
        coefficients = (2 * common + self.smooth) / tf.maximum(predicted + true + self.smooth, 1e-12)
        present = tf.cast(true > 0, tf.float32)
        missing = tf.math.divide_no_nan(tf.reduce_sum(present * (1 - coefficients)), tf.reduce_sum(present))
        return {f"dice/{self.output}": self.weight * missing}
