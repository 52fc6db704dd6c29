"""Feature maps as tensors: their size, their pixels in a row, their precision."""

import tensorflow as tf


def spatial_size(x: tf.Tensor) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Height and width of [N, H, W, C]: Python integers where they are known, scalar tensors where not."""
    static, dynamic = x.shape, tf.shape(x)
    return tuple(dynamic[axis] if static[axis] is None else static[axis] for axis in (1, 2))


def flatten_pixels(x: tf.Tensor) -> tf.Tensor:
    """[N, h, w, C] -> [N, h·w, C]."""
    height, width = spatial_size(x)
    return tf.reshape(x, [-1, height * width, x.shape[-1]])


def unflatten_pixels(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[N, P, C] -> [N, h, w, C], with the h and w of `like` [N, h, w, any]."""
    return tf.reshape(x, [-1, *spatial_size(like), x.shape[-1]])


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """`x` in float32 if its type is narrower (mixed precision), else as it is."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x
