"""Labels for CAR where there is no ground truth: the classes that a coarse classifier is sure of. Experimental.

Sect. 4.7 names it as one of two workarounds: "Predict a coarse prediction like OCR, and then use the coarse prediction
result as the ground-truth for CAR", and expects "some negative impact on the performance". The one study of it, 200 of
3,131 pictures labeled, found no gain: −0.70 [−3.24, +1.90] points of mIoU (docs/claims.md).
"""

from car.pixels import IGNORE_LABEL
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import resize_labels, spatial_size


def predicted_labels(logits: Tensor, threshold: float) -> Tensor:
    """The classes of confident pixels: logits [N, H, W, K] -> labels [N, H, W] int32. No gradient passes.

    Args:
        logits: of any classifier.
        threshold: the probability that the likeliest class must have at least; other pixels are ignored: their label is
            255, or K where there are more classes.
    """
    probabilities = ops.softmax(ops.at_least_float32(ops.stop_gradient(logits)))
    likeliest = ops.cast(ops.argmax(probabilities, axis=-1), "int32")
    confident = ops.max(probabilities, axis=-1) >= threshold
    return ops.where(confident, likeliest, max(IGNORE_LABEL, logits.shape[-1]))


def completed_labels(labels: Tensor, logits: Tensor, threshold: float) -> Tensor:
    """Labels [N, H, W] int32 of which a picture without any has `predicted_labels`, and every other keeps its own."""
    return labels_at(spatial_size(labels[..., ops.newaxis]), logits, threshold, labels)


def labels_at(
    size: tuple[int | Tensor, int | Tensor], logits: Tensor, threshold: float, labels: Tensor | None = None
) -> Tensor:
    """`predicted_labels`, or `completed_labels` where labels are given, at the nearest pixels: [N, h, w] int32.

    The pixels are chosen first: of logits at the image's size, probabilities of all would take longer than a head.
    """
    predicted = predicted_labels(ops.resize_nearest(ops.stop_gradient(logits), size), threshold)
    if labels is None:
        return predicted
    has_some = ops.any((labels >= 0) & (labels < logits.shape[-1]), axis=(1, 2))
    return ops.where(has_some[:, ops.newaxis, ops.newaxis], resize_labels(labels, size), predicted)
