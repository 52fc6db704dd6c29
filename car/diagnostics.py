"""What class-aware regularization is meant to change, measured."""

import tensorflow as tf

from car.centers import class_centers, sum_by_class, sum_over_replicas


def class_statistics(features: tf.Tensor, labels: tf.Tensor, num_classes: int) -> dict[str, tf.Tensor]:
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
    features = tf.stop_gradient(tf.reshape(features, [1, -1, features.shape[-1]]))
    labels = tf.reshape(labels, [1, -1])
    centers, counts = class_centers(features, labels, num_classes, over_replicas=True)
    present = tf.cast(counts[0] > 0, features.dtype)
    own = tf.gather(centers[0], tf.where(labels < num_classes, labels, 0))
    distances = tf.reduce_mean(tf.square(own - features), axis=-1, keepdims=True)
    sums = sum_over_replicas(sum_by_class(distances, labels, num_classes))[0, :, 0]
    variances = sums / tf.maximum(counts[0], 1)
    directions = tf.math.l2_normalize(centers[0], axis=-1)
    different = present[:, tf.newaxis] * present * (1 - tf.eye(num_classes, dtype=features.dtype))
    cosines = tf.matmul(directions, directions, transpose_b=True)
    return {
        "intra_class_variance": tf.math.divide_no_nan(tf.reduce_sum(variances), tf.reduce_sum(present)),
        "center_similarity": tf.math.divide_no_nan(tf.reduce_sum(cosines * different), tf.reduce_sum(different)),
    }
