"""Losses of every labeled pixel, averaged over those of the global batch: cross-entropy, OHEM, focal.

A scalar is scaled so that its mean over the replicas is the loss of the global batch. `mass(labels)` is what a loss
divides by, over all replicas: of parts of a batch, each has the share mass(part) / Σ mass in the mean of the whole.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.arguments import check_numbers, check_whole_numbers, in_interval
from deeplab_ksac.losses.reading import LOGITS, before_resize
from deeplab_ksac.losses.strips import Strips
from deeplab_ksac.tensor_ops.maps import resize_bilinear

REDUCE_SUM = tf.distribute.ReduceOp.SUM


def sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """Σ over all replicas; differentiable."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(REDUCE_SUM, value)


def gather_from_replicas(values: tf.Tensor) -> tf.Tensor:
    """The values [n] of all replicas, joined."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_gather(values, axis=0)


def over_global_batch(total: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Σ total / Σ count over all replicas, scaled so that the replicas' results average to it; 0 where Σ count is."""
    context = tf.distribute.get_replica_context()
    replicas = 1 if context is None else context.num_replicas_in_sync
    return tf.math.divide_no_nan(total * tf.cast(replicas, total.dtype), sum_over_replicas(count))


@dataclasses.dataclass(eq=False)
class PixelLoss(abc.ABC):
    """What the losses of pixels share: which output they read, and their factor.

    Logits that come as they were before they were brought to the image's size, too (`losses.reading.before_resize`),
    are brought to it in strips (`losses.strips`), where they are many.

    Args:
        output: the logits it reads, [N, H, W, K].
        weight: factor of the term; the thesis's auxiliary losses have 0.4.
        stride: of the rows and columns whose pixels count: of 4, a sixteenth of all, evenly spread, which is most of
            the work of a small head. The sides are a multiple of it and one more, so that the corners are among them.
        num_classes: K, for `mass`; None takes it from the logits, and gives no mass.

    Raises:
        ValueError: an argument out of its range; in a call, labels of other sides.
    """

    output: str = "logits"
    weight: float = 1.0
    _: dataclasses.KW_ONLY
    stride: int = 1
    num_classes: int | None = None

    name: ClassVar[str]
    reads: ClassVar[str] = LOGITS
    weighs_by_loss: ClassVar[bool] = False  # whether a pixel's factor depends on the losses

    def __post_init__(self):
        check_numbers("(0, inf)", weight=self.weight)
        check_whole_numbers(1, stride=self.stride)
        if self.num_classes is not None:
            check_whole_numbers(1, num_classes=self.num_classes)

    def __call__(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """labels [N, H, W] in 0…K-1, all else ignored -> {"<name>/<output>": scalar}."""
        labels, small = self._counted(labels), outputs.get(before_resize(self.output))
        num_classes = outputs[self.output].shape[-1]
        known = tf.where((labels >= 0) & (labels < num_classes), labels, 0)
        strips = None if small is None else Strips.between(small, labels)
        if strips is None:
            losses = self.losses(tf.cast(self._logits(outputs, labels), tf.float32), known)
            weights = self.weigh(losses, labels, num_classes)
            total = tf.reduce_sum(losses * weights)
        else:
            small = tf.cast(small, tf.float32)
            losses = strips.losses(self.losses, small, known) if self.weighs_by_loss else None
            weights = self.weigh(losses, labels, num_classes)
            total = strips.weighted_sum(self.losses, small, known, weights)
        mean = over_global_batch(total, tf.reduce_sum(weights))
        return {f"{self.name}/{self.output}": self.weight * mean}

    def _counted(self, labels):
        """The labels of the pixels that count."""
        if self.stride == 1:
            return labels
        self.check_sides(*labels.shape[1:])
        return labels[:, :: self.stride, :: self.stride]

    def check_sides(self, height: int | None, width: int | None) -> None:
        """Makes sure that the loss can take images of these sides, in pixels.

        Raises:
            ValueError: a side that `stride` does not fit.
        """
        wrong = [side for side in (height, width) if self.stride > 1 and (side is None or (side - 1) % self.stride)]
        if wrong:
            raise ValueError(
                f"stride={self.stride} wants sides of a multiple of it and one more, as "
                f"{self.stride * 20 + 1}, not {wrong[0]}"
            )

    def _logits(self, outputs, labels):
        """The logits of the pixels that count; where corners are aligned, those of a smaller map are among them."""
        small = outputs.get(before_resize(self.output))
        if self.stride == 1:
            return outputs[self.output]
        if small is None:
            return outputs[self.output][:, :: self.stride, :: self.stride]
        return resize_bilinear(small, labels.shape[1:])

    @abc.abstractmethod
    def losses(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """logits [N, H, W, K] float32, labels [N, H, W] in 0…K-1 -> [N, H, W], each pixel by itself."""

    def weigh(self, losses: tf.Tensor | None, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
        """The factor of every pixel in the mean, [N, H, W] float32; 0 for an ignored one.

        `losses` may be None unless the loss `weighs_by_loss`.
        """
        return self.label_weights(labels, num_classes)

    def label_weights(self, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
        """The weight of every pixel's class, [N, H, W] float32; 0 for an ignored pixel."""
        return tf.cast((labels >= 0) & (labels < num_classes), tf.float32)

    def mass(self, labels: tf.Tensor) -> tf.Tensor:
        """What the mean over these labels is divided by, over all replicas: a scalar."""
        if self.num_classes is None:
            raise ValueError(f"{self.name} can only be accumulated if it knows num_classes")
        return sum_over_replicas(tf.reduce_sum(self.label_weights(self._counted(labels), self.num_classes)))


@dataclasses.dataclass(eq=False, kw_only=True)
class WeightedPixelLoss(PixelLoss):
    """A loss of pixels some of whose classes may count more than others; arguments as `PixelLoss`.

    Args:
        class_weights: K factors of the pixels of each class, in the sum and in the count that it is divided by: a
            weighted mean; None weighs all alike.
    """

    class_weights: Sequence[float] | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.class_weights is None:
            return
        if isinstance(self.class_weights, str) or not isinstance(self.class_weights, Sequence):
            raise ValueError(f"class_weights must be numbers, one for each class, not {self.class_weights!r}")
        self.class_weights = tuple(self.class_weights)
        if not all(in_interval(value, "[0, inf)") for value in self.class_weights) or not any(self.class_weights):
            raise ValueError(f"class_weights must be finite, at least 0 and not all 0, not {self.class_weights}")
        if self.num_classes is not None:
            self._check_count(self.num_classes)

    def label_weights(self, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
        if self.class_weights is None:
            return super().label_weights(labels, num_classes)
        self._check_count(num_classes)
        valid = (labels >= 0) & (labels < num_classes)
        return tf.where(valid, tf.gather(tf.constant(self.class_weights, tf.float32), tf.where(valid, labels, 0)), 0.0)

    def _check_count(self, num_classes):
        if len(self.class_weights) != num_classes:
            raise ValueError(f"class_weights must be {num_classes}, one for each class, not {len(self.class_weights)}")


@dataclasses.dataclass(eq=False, kw_only=True)
class CrossEntropy(WeightedPixelLoss):
    """Cross-entropy of every labeled pixel, averaged over those of the global batch; arguments as `WeightedPixelLoss`.

    Args:
        label_smoothing: ε; the target is 1 − ε + ε/K at the label and ε/K elsewhere.
    """

    label_smoothing: float = 0.0

    name = "cross_entropy"

    def __post_init__(self):
        super().__post_init__()
        check_numbers("[0, 1)", label_smoothing=self.label_smoothing)

    def losses(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if not self.label_smoothing:
            return losses
        even = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)  # against 1/K everywhere
        return (1 - self.label_smoothing) * losses + self.label_smoothing * even


@dataclasses.dataclass(eq=False, kw_only=True)
class Focal(WeightedPixelLoss):
    """Focal loss, (1 − p)^γ times the cross-entropy of every labeled pixel (Lin et al., ICCV 2017, Eq. 4 and 5).

    The mean is over labeled pixels, not over some that count as foreground; arguments as `WeightedPixelLoss`, whose
    `class_weights` are the paper's α.

    Args:
        gamma: γ ≥ 0; 0 gives the cross-entropy.
    """

    gamma: float = 2.0

    name = "focal"

    def __post_init__(self):
        super().__post_init__()
        check_numbers("[0, inf)", gamma=self.gamma)

    def losses(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        missing = tf.maximum(-tf.math.expm1(-losses), 1e-7)  # 1 − p; bounded, since x^γ has no slope at 0 for γ < 1
        return missing**self.gamma * losses


@dataclasses.dataclass(eq=False, kw_only=True)
class HardPixels(PixelLoss):
    """Online hard example mining: cross-entropy, averaged over the hard pixels of the global batch.

    A labeled pixel is hard where the probability p of its label is below `threshold`, or where its loss is at least
    the `min_kept`-th largest of the global batch (of all replicas); so at least `min_kept` count, as far as there are
    so many labeled ones, and more where the losses tie. Which pixels are kept has no gradient. Where a batch is
    accumulated in parts, each part keeps its own hard pixels, and counts by its labeled ones. Arguments as `PixelLoss`.

    Args:
        threshold: of the probability, in (0, 1].
        min_kept: pixels of the global batch.
    """

    threshold: float = 0.7
    min_kept: int = 100_000

    name = "ohem"
    weighs_by_loss = True

    def __post_init__(self):
        super().__post_init__()
        check_numbers("(0, 1]", threshold=self.threshold)
        check_whole_numbers(1, min_kept=self.min_kept)

    def losses(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def weigh(self, losses: tf.Tensor | None, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
        labeled = self.label_weights(labels, num_classes) > 0
        known = tf.stop_gradient(tf.reshape(tf.where(labeled, losses, -1.0), [-1]))  # −1: below every loss
        known = gather_from_replicas(self._largest(known))
        hard = (losses > -math.log(self.threshold)) | (losses >= self._largest(known)[-1])
        return tf.cast(labeled & hard, tf.float32)

    def _largest(self, losses):
        count = losses.shape[0] if losses.shape[0] is not None else tf.size(losses)  # XLA wants a constant
        smaller = min(count, self.min_kept) if isinstance(count, int) else tf.minimum(count, self.min_kept)
        return tf.math.top_k(losses, smaller).values
