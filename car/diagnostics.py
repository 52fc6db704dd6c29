"""What class-aware regularization is meant to change, measured."""

from car.centers import class_centers, sum_by_class
from deeplab_ksac.tensor_ops import Tensor, ops


def class_statistics(features: Tensor, labels: Tensor, num_classes: int) -> dict[str, Tensor]:
    """How compact the classes of the global batch are, and how similar their centers.

    Without gradient; the same on all replicas. Absent classes do not count.

    Args:
        features: [G, Q, C], float32 or float64, in any number of groups: they are taken as one.
        labels: [G, Q] int32, 0…K−1; K and above are ignored.
        num_classes: K.

    Returns:
        {"intra_class_variance": the pixels' squared distance from the center of their class, averaged over channels,
        over the pixels of a class, and over the classes; "center_similarity": cosine of the angle between two centers,
        in [−1, 1], averaged over the pairs of different classes}. 0 without a class, or a pair.
    """
    features = ops.stop_gradient(ops.reshape(features, [1, -1, features.shape[-1]]))
    labels = ops.reshape(labels, [1, -1])
    centers, counts = class_centers(features, labels, num_classes, over_replicas=True)
    present = ops.cast(counts[0] > 0, features.dtype)
    own = ops.take(centers[0], ops.where(labels < num_classes, labels, 0), axis=0)
    distances = ops.mean(ops.square(own - features), axis=-1, keepdims=True)
    sums = ops.sum_over_replicas(sum_by_class(distances, labels, num_classes))[0, :, 0]
    variances = sums / ops.maximum(counts[0], 1)
    directions = ops.l2_normalize(centers[0], axis=-1)
    different = present[:, ops.newaxis] * present * (1 - ops.eye(num_classes, dtype=features.dtype))
    cosines = ops.matmul(directions, directions, transpose_b=True)
    return {
        "intra_class_variance": ops.divide_no_nan(ops.sum(variances), ops.sum(present)),
        "center_similarity": ops.divide_no_nan(ops.sum(cosines * different), ops.sum(different)),
    }
