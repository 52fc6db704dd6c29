"""A window slid over an image: its positions, and how its overlapping views are averaged."""

from collections.abc import Callable

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.layers import spatial_size


def window_starts(size: int | tf.Tensor, window: int) -> tf.Tensor:
    """Where the windows of one axis begin: step int(2/3 · window), the last one flush with the border.

    1025 seen through 769 -> [0, 256]; a window at least as long as the axis -> [0]. int32 [windows].
    """
    stride = max(2 * window // 3, 1)
    last = tf.maximum(tf.convert_to_tensor(size) - window, 0)
    return tf.minimum(tf.range(0, last + stride, stride), last)


def sliding_logits(forward: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor, window: tuple[int, int]) -> tf.Tensor:
    """The logits of all windows, averaged by coverage: [N, H, W, 3] -> [N, H, W, K].

    In strips left to right, then the strips downwards, one window at a time.

    Args:
        forward: image [N, h, w, 3] -> logits [N, h, w, K] float32.
        image: float32 RGB 0 … 255.
        window: (height, width) in pixels; cut to the image where it is larger.
    """
    height, width = spatial_size(image)
    window_height, window_width = (tf.minimum(side, size) for side, size in zip(window, (height, width), strict=True))
    starts = window_starts(width, window[1])
    spec = tf.TensorSpec([None] * 4, tf.float32)

    def strip_at(top):
        strip = image[:, top : top + window_height]
        windows = tf.map_fn(  # [windows, N, window_height, window_width, K]
            lambda left: forward(strip[:, :, left : left + window_width]),
            starts,
            fn_output_signature=spec,
            parallel_iterations=1,
        )
        return tf.transpose(overlap_mean(tf.transpose(windows, [0, 3, 1, 2, 4]), starts, width), [1, 2, 0, 3])

    tops = window_starts(height, window[0])
    strips = tf.map_fn(strip_at, tops, fn_output_signature=spec, parallel_iterations=1)
    return tf.transpose(overlap_mean(tf.transpose(strips, [0, 2, 1, 3, 4]), tops, height), [1, 0, 2, 3])


def overlap_mean(windows: tf.Tensor, starts: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Lays windows over an axis and averages them by coverage: [windows, length, ...], starts [windows] ->
    [size, ...]."""
    positions = starts[:, tf.newaxis] + tf.range(tf.shape(windows)[1])
    total = tf.math.unsorted_segment_sum(windows, positions, size)
    coverage = tf.math.unsorted_segment_sum(tf.ones_like(positions, windows.dtype), positions, size)
    return total / tf.reshape(coverage, tf.concat([[size], tf.ones([tf.rank(windows) - 2], tf.int32)], axis=0))
