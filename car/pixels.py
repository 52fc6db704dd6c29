"""From feature maps and ground truth to pixels with labels."""

from collections.abc import Sequence

from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import resize_labels, spatial_size

IGNORE_LABEL = 255
LEAST_INT32 = -(2**31)


def check_shapes(branches: Sequence[Tensor], labels: Tensor) -> None:
    """Refuses what the losses cannot be computed of: features that are no maps, labels that do not belong to them.

    Raises:
        ValueError: features not [N, h, w, C], labels not [N, H, W] integers, or of different batch size.
    """
    name, sizes = ops.dtype_name(labels), ops.static_shape(labels)
    if "int" not in name:
        raise ValueError(f"labels must be integers, not {name}")
    if sizes is None or len(sizes) != 3:
        raise ValueError(f"labels must be [N, H, W], not {sizes}")
    check_branches(branches, sizes)


def check_branches(branches: Sequence[Tensor], sizes: tuple[int | None, ...]) -> None:
    """Raises ValueError for features that are no maps, or not of the batch size of labels or logits of these sizes."""
    for features in branches:
        name, shape = ops.dtype_name(features), ops.static_shape(features)
        if shape is None or len(shape) != 4 or shape[-1] is None or "float" not in name:
            raise ValueError(f"features must be floats [N, h, w, C], not {name} {shape}")
        if None not in (shape[0], sizes[0]) and shape[0] != sizes[0]:
            raise ValueError(f"features and labels differ in batch size: features are {shape}, labels {sizes}")


def check_values(branches: Sequence[Tensor], labels: Tensor, num_classes: int) -> Tensor:
    """The labels, once they and the batch sizes are found to be right.

    Args:
        branches: feature maps [N, h, w, C].
        labels: [N, H, W] int32.
        num_classes: K.

    Raises:
        ValueError: eagerly, for a label that is neither in 0…K−1 nor 255. In a graph of TensorFlow
            tf.errors.InvalidArgumentError at run time, for that and for different batch sizes; compiled by XLA or JAX,
            which have no assertions, nothing.
    """
    wrong = (labels < 0) | ((labels >= num_classes) & (labels != IGNORE_LABEL))
    any_wrong = ops.any(wrong)
    example = ops.max(ops.where(wrong, labels, LEAST_INT32))
    message = f"labels must lie in 0…{num_classes - 1} or be {IGNORE_LABEL} (ignored), not"
    if ops.is_concrete(any_wrong):
        if any_wrong:
            raise ValueError(f"{message} {int(example)}")
        return labels
    checks = [(~any_wrong, [message, example])]
    for features in branches:
        found, expected = ops.shape(features)[0], ops.shape(labels)
        checks.append((found == expected[0], ["features and labels differ in batch size:", found, expected]))
    return ops.asserted(labels, checks)


def labelled_pixels(features: Tensor, labels: Tensor, num_classes: int, pooling: int = 1) -> tuple[Tensor, Tensor]:
    """Pixels with their labels: features [N, h, w, C], labels [N, H, W] -> ([N, P, C], [N, P]).

    The features are float32 at least; the labels are resized to h × w, and are K where they are ignored.

    Args:
        features, labels, num_classes: as `ClassAwareRegularizer`.
        pooling: side of the squares of pixels that are averaged first, whose labels are resized once more; the
            author's code has 2 for UperNet and OCR.
    """
    features = ops.at_least_float32(features)
    labels = resize_labels(ops.cast(labels, "int32"), spatial_size(features))
    if pooling > 1:
        features = ops.average_pool(features, pooling)
        labels = resize_labels(labels, spatial_size(features))
    labels = ops.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    batch = ops.shape(features)[0]
    return ops.reshape(features, [batch, -1, features.shape[-1]]), ops.reshape(labels, [batch, -1])
