"""Bringing feature maps, logits and labels to another size."""

import tensorflow as tf


def spatial_size(x):
    """Height and width of [N, H, W, C]: Python integers where they are known, scalar tensors where not."""
    static, dynamic = x.shape, tf.shape(x)
    return tuple(dynamic[axis] if static[axis] is None else static[axis] for axis in (1, 2))


def resize_bilinear(x, size):
    """[N, H, W, C] -> [N, h, w, C], bilinear with corners aligned, in x's own type.

    Corners are aligned because every map of the network has its first and last pixel on the image's first and last
    (sizes 32k + 1; the author's code does so throughout). `tf.image.resize` has half-pixel centers only.
    """
    resized = tf.compat.v1.image.resize_bilinear(x, size, align_corners=True)
    return tf.cast(resized, x.dtype)


def resize_labels(labels, size):
    """[N, H, W] integers -> [N, h, w], nearest with corners aligned; no new value can appear."""
    resized = tf.compat.v1.image.resize_nearest_neighbor(labels[..., tf.newaxis], size, align_corners=True)
    return resized[..., 0]
