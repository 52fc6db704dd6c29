"""From feature maps and ground truth to pixels with labels."""

from collections.abc import Sequence

import tensorflow as tf

IGNORE_LABEL = 255


def check_shapes(branches: Sequence[tf.Tensor], labels: tf.Tensor) -> None:
    """Refuses what the losses cannot be computed of: features that are no maps, labels that do not belong to them.

    Raises:
        ValueError: features not [N, h, w, C], labels not [N, H, W] integers, or of different batch size.
    """
    if not labels.dtype.is_integer:
        raise ValueError(f"labels must be integers, not {labels.dtype.name}")
    if labels.shape.rank != 3:
        raise ValueError(f"labels must be [N, H, W], not {labels.shape}")
    for features in branches:
        if features.shape.rank != 4 or features.shape[-1] is None or not features.dtype.is_floating:
            raise ValueError(f"features must be floats [N, h, w, C], not {features.dtype.name} {features.shape}")
        if not features.shape[:1].is_compatible_with(labels.shape[:1]):
            raise ValueError(
                f"features and labels differ in batch size: features are {features.shape}, labels {labels.shape}"
            )


def check_values(branches: Sequence[tf.Tensor], labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """The labels, once they and the batch sizes are found to be right.

    Args:
        branches: feature maps [N, h, w, C].
        labels: [N, H, W] int32.
        num_classes: K.

    Raises:
        ValueError: eagerly, for a label that is neither in 0…K−1 nor 255. In a graph tf.errors.InvalidArgumentError at
            run time, for that and for different batch sizes; compiled by XLA, which has no assertions, nothing.
    """
    wrong = (labels < 0) | ((labels >= num_classes) & (labels != IGNORE_LABEL))
    any_wrong = tf.reduce_any(wrong)
    example = tf.reduce_max(tf.where(wrong, labels, labels.dtype.min))
    message = f"labels must lie in 0…{num_classes - 1} or be {IGNORE_LABEL} (ignored), not"
    if tf.executing_eagerly():
        if any_wrong:
            raise ValueError(f"{message} {int(example)}")
        return labels
    sizes = [tf.shape(features)[0] for features in branches]
    checks = [tf.debugging.Assert(~any_wrong, [message, example], name="labels_in_range")]
    for size in sizes:
        same = tf.equal(size, tf.shape(labels)[0])
        checks.append(tf.debugging.Assert(same, ["features and labels differ in batch size:", size, tf.shape(labels)]))
    with tf.control_dependencies(checks):
        return tf.identity(labels)


def resize_labels(labels: tf.Tensor, size: tuple[int | tf.Tensor, int | tf.Tensor]) -> tf.Tensor:
    """[N, H, W] integers -> [N, h, w] int32, nearest with corners aligned as the author does; no new value can
    appear.

    In float32, which is exact below 2²⁴ and has a kernel on every device.
    """
    resized = tf.raw_ops.ResizeNearestNeighbor(
        images=tf.cast(labels, tf.float32)[..., tf.newaxis], size=size, align_corners=True
    )
    return tf.cast(resized[..., 0], tf.int32)


def labelled_pixels(
    features: tf.Tensor, labels: tf.Tensor, num_classes: int, pooling: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels with their labels: features [N, h, w, C], labels [N, H, W] -> ([N, P, C], [N, P]).

    The features are float32 at least; the labels are resized to h × w, and are K where they are ignored.

    Args:
        features, labels, num_classes: as `ClassAwareRegularizer`.
        pooling: side of the squares of pixels that are averaged first, whose labels are resized once more; the
            author's code has 2 for UperNet and OCR.
    """
    features = tf.cast(features, tf.float32) if features.dtype.size < 4 else features
    labels = resize_labels(labels, _size(features))
    if pooling > 1:
        features = tf.nn.avg_pool2d(features, pooling, pooling, "SAME")
        labels = resize_labels(labels, _size(features))
    labels = tf.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    batch = tf.shape(features)[0]
    return tf.reshape(features, [batch, -1, features.shape[-1]]), tf.reshape(labels, [batch, -1])


def _size(features):
    static, dynamic = features.shape, tf.shape(features)
    return tuple(dynamic[axis] if static[axis] is None else static[axis] for axis in (1, 2))
