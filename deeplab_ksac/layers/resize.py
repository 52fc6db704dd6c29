"""Bringing feature maps, logits and labels to another size."""

from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers.maps import spatial_size


def resize_bilinear(x: tf.Tensor, size: tuple[int | tf.Tensor, int | tf.Tensor]) -> tf.Tensor:
    """[N, H, W, C] -> [N, h, w, C], bilinear with corners aligned, in x's own type.

    Corners are aligned because every map of the network has its first and last pixel on the image's first and last
    (sizes 32k + 1; the author's code does so throughout). `tf.image.resize` has half-pixel centers only.
    """
    resized = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
    return tf.cast(resized, x.dtype)


def resize_labels(labels: tf.Tensor, size: tuple[int | tf.Tensor, int | tf.Tensor]) -> tf.Tensor:
    """[N, H, W] integers -> [N, h, w], nearest with corners aligned; no new value can appear.

    In float32, which is exact below 2²⁴ and has a kernel on every device.
    """
    images = tf.cast(labels, tf.float32)[..., tf.newaxis]
    resized = tf.raw_ops.ResizeNearestNeighbor(images=images, size=size, align_corners=True)
    return tf.cast(resized[..., 0], labels.dtype)


@keras.saving.register_keras_serializable("deeplab_ksac")
class ResizeLike(keras.layers.Layer):
    """Brings maps to the size of an image: ([N, h, w, C], [N, H, W, 3]) -> [N, H, W, C] in the layer's own type."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        maps, image = inputs
        return resize_bilinear(maps, spatial_size(image))
