"""Class centers: the mean feature of each class according to the ground truth (Sect. 4.3.1).

Pixels come in G groups that have centers of their own: the batch is one group (μ_batch), or each image is (μ_image).
The batch is that of all replicas of a `tf.distribute.Strategy`, over which sums are taken, or of all devices of JAX's
`keras.distribution`; with PyTorch it is that of the process.
"""

from typing import Any

from deeplab_ksac.tensor_ops import Tensor, ops


@ops.custom_gradient
def _sum_by_segment(values, segments, count):
    """values [P, C], segments [P] in 0…count−1 -> sums [count, C]. Its gradient is one gather; TensorFlow's own guards
    against negative segments, which costs five times as much on a CPU."""

    def gradient(upstream):
        return ops.take(upstream, segments, axis=0), None, None

    return ops.segment_sum(values, segments, count), gradient


def sum_by_class(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Yᵀ·X of Eq. 4.1 without a matrix product: values [G, Q, C], labels [G, Q] -> [G, K, C].

    Labels of K and above belong to no class.
    """
    groups, channels = ops.shape(values)[0], values.shape[-1]
    slots = num_classes + 1
    segments = ops.minimum(labels, num_classes) + slots * ops.arange(groups)[:, ops.newaxis]
    flat = ops.reshape(values, [-1, channels])
    sums = _sum_by_segment(flat, ops.reshape(segments, [-1]), groups * slots)
    return ops.ensure_shape(ops.reshape(sums, [groups, slots, channels]), [values.shape[0], slots, channels])[:, :-1]


def count_by_class(labels: Tensor, num_classes: int, dtype: Any) -> Tensor:
    """N_non-zero of Eq. 4.1: labels [G, Q] -> [G, K]."""
    return ops.sum(ops.one_hot(labels, num_classes, dtype=dtype), axis=1)


def class_centers(
    features: Tensor, labels: Tensor, num_classes: int, *, over_replicas: bool = False
) -> tuple[Tensor, Tensor]:
    """The centers μ of Eq. 4.1, and how many pixels each stands for.

    An absent class has its center at zero, and no gradient passes through it.

    Args:
        features: X, [G, Q, C], float32 or float64: sums of half-precision numbers saturate.
        labels: [G, Q] int32, 0…K−1; K and above belong to no class.
        num_classes: K.
        over_replicas: whether the groups of all replicas are the same group, as the global batch is; the replicas then
            have equal centers.

    Returns:
        (centers [G, K, C], counts [G, K]).
    """
    sums = sum_by_class(features, labels, num_classes)
    counts = count_by_class(labels, num_classes, features.dtype)[..., ops.newaxis]
    if over_replicas:
        both = ops.sum_over_replicas(ops.concatenate([sums, counts], axis=-1))
        sums, counts = both[..., :-1], ops.stop_gradient(both[..., -1:])
    return sums / ops.maximum(counts, 1), counts[..., 0]


def moved_centers(old: Tensor, centers: Tensor, counts: Tensor, decay: float) -> Tensor:
    """The moving average of Table 4.2: old + (1 − decay)·(centers − old) for the classes that are present.

    old, centers [G, K, C], counts [G, K] -> [G, K, C].
    """
    present = ops.cast(counts > 0, centers.dtype)[..., ops.newaxis]
    return old + (1 - decay) * present * (centers - old)
