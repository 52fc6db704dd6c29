"""Bringing feature maps, logits and labels to another size."""

from collections.abc import Sequence

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers.maps import spatial_size
from deeplab_ksac.tensor_ops import Tensor, ops


def resize_bilinear(x: Tensor, size: tuple[int | Tensor, int | Tensor]) -> Tensor:
    """[N, H, W, C] -> [N, h, w, C], bilinear with corners aligned, in x's own type.

    Corners are aligned because every map of the network has its first and last pixel on the image's first and last
    (sizes 32k + 1; the author's code does so throughout). `tf.image.resize` has half-pixel centers only.
    """
    resized = ops.resize_bilinear(x, size)
    return ops.cast(resized, x.dtype)


def resize_labels(labels: Tensor, size: tuple[int | Tensor, int | Tensor]) -> Tensor:
    """[N, H, W] integers -> [N, h, w], nearest with corners aligned; no new value can appear.

    In float32, which is exact below 2²⁴ and has a kernel on every device.
    """
    images = ops.cast(labels, "float32")[..., ops.newaxis]
    resized = ops.resize_nearest(images, size)
    return ops.cast(resized[..., 0], labels.dtype)


@keras.saving.register_keras_serializable("deeplab_ksac")
class ResizeLike(keras.layers.Layer):
    """Brings maps to the size of an image: ([N, h, w, C], [N, H, W, 3]) -> [N, H, W, C] in the layer's own type."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        maps, image = inputs
        return resize_bilinear(maps, spatial_size(image))
