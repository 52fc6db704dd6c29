"""A window slid over an image: its positions, and how its overlapping views are averaged."""

from collections.abc import Callable

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.layers import spatial_size

Forward = Callable[[tf.Tensor], tf.Tensor]
Size = tuple[int | tf.Tensor, int | tf.Tensor]


def window_starts(size: int | tf.Tensor, window: int) -> tf.Tensor:
    """Where the windows of one axis begin: step int(2/3 · window), the last one flush with the border.

    1025 seen through 769 -> [0, 256]; a window at least as long as the axis -> [0]. int32 [windows].
    """
    stride = max(2 * window // 3, 1)
    last = tf.maximum(tf.convert_to_tensor(size) - window, 0)
    return tf.minimum(tf.range(0, last + stride, stride), last)


def sliding_logits(forward: Forward, image: tf.Tensor, window: tuple[int, int], size: Size | None = None) -> tf.Tensor:
    """The logits of all windows, averaged by coverage, and resized: [N, h, w, 3] -> [N, H, W, K].

    Args:
        forward, image, window, size: as `add_windows`.
    """
    total = add_windows(None, forward, image, window, size)
    return as_maps(total, tf.shape(image)[0], spatial_size(image) if size is None else size)


def add_windows(
    total: tf.Tensor | None,
    forward: Forward,
    image: tf.Tensor,
    window: tuple[int, int],
    size: Size | None = None,
    *,
    mirrored: bool = False,
) -> tf.Tensor:
    """Adds the logits of all windows, averaged by coverage and resized, to a sum of such: image [N, h, w, 3].

    In strips left to right, then the strips downwards, one window at a time. Averaging and resizing are linear: every
    window is weighted, resized and added to one map of the result's size, in place in a `tf.function`. There is none of
    the image's size.

    Args:
        total: of earlier calls of the same sizes, [H, W · N · K]; None for zeros. `as_maps` makes maps of it.
        forward: image [N, a, b, 3] -> logits [N, a, b, K] float32.
        image: float32 RGB 0 … 255.
        window: (height, width) in pixels; cut to the image where it is larger.
        size: (H, W), as `resize_bilinear` resizes; by default the image's.
        mirrored: whether the image is seen mirrored left to right, and its logits mirrored back.
    """
    sides = spatial_size(image)
    targets = sides if size is None else size
    height, width = (tf.minimum(length, side) for length, side in zip(window, sides, strict=True))
    tops, lefts = window_starts(sides[0], window[0]), window_starts(sides[1], window[1])
    lefts = sides[1] - width - lefts if mirrored else lefts
    covered = coverage(tops, height, sides[0])[:, tf.newaxis] * coverage(lefts, width, sides[1])
    images, strip = tf.shape(image)[0], tf.size(lefts)

    def seen(crop):
        return tf.reverse(forward(tf.reverse(crop, axis=[2])), axis=[2]) if mirrored else forward(crop)

    def add_window(index, total):
        top, left = tops[index // strip], lefts[index % strip]
        bottom, right = top + height, left + width
        part = seen(image[:, top:bottom, left:right]) / covered[top:bottom, left:right, tf.newaxis]
        if size is not None:
            part, top, bottom = _resized_part(part, 1, top, sides[0], targets[0])
            part, left, right = _resized_part(part, 2, left, sides[1], targets[1])
        depth = images * tf.shape(part)[3]
        part = tf.reshape(tf.transpose(part, [1, 2, 0, 3]), [bottom - top, (right - left) * depth])
        # a matrix, since slices are written into it three times as fast; its width is known from the first window on
        total = tf.broadcast_to(total, [targets[0], targets[1] * depth])
        begin, end = (top, left * depth), (bottom, right * depth)
        part += total[begin[0] : end[0], begin[1] : end[1]]
        total = tf.raw_ops.TensorStridedSliceUpdate(input=total, begin=begin, end=end, strides=(1, 1), value=part)
        return index + 1, total

    _, total = tf.while_loop(
        lambda index, total: index < tf.size(tops) * strip,
        add_window,
        (0, tf.zeros([1, 1]) if total is None else total),
        shape_invariants=(tf.TensorSpec([], tf.int32), tf.TensorSpec([None, None])),
        parallel_iterations=1,
    )
    return total


def as_maps(total: tf.Tensor, images: int | tf.Tensor, size: Size) -> tf.Tensor:
    """What `add_windows` has summed, as maps: [H, W · N · K] -> [N, H, W, K]."""
    return tf.transpose(tf.reshape(total, [*size, images, -1]), [2, 0, 1, 3])


def coverage(starts: tf.Tensor, window: int | tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """How many windows each pixel of an axis is in: starts [windows] -> float32 [size]."""
    positions = tf.range(size) - starts[:, tf.newaxis]
    return tf.reduce_sum(tf.cast((positions >= 0) & (positions < window), tf.float32), axis=0)


def _resized_part(part, axis, start, size, target):
    """What a part of a map, with zeros around it, is along one axis when the map is resized: (it, its start, its end).

    Positions are exact fractions, so that parts which adjoin fit together. Their numerators are whole numbers of 64
    bits, for a long side times the scaled one is beyond 32.
    """
    length, size, target, start = (tf.cast(n, tf.int64) for n in (tf.shape(part)[axis], size, target, start))
    whole = tf.maximum(target - 1, 1)
    positions = tf.range(target) * (size - 1)  # in units of 1 / whole pixels
    begin = tf.math.count_nonzero(positions <= (start - 1) * whole, dtype=tf.int32)
    end = tf.math.count_nonzero(positions < (start + length) * whole, dtype=tf.int32)
    positions = positions[begin:end]
    first, share = positions // whole - start, tf.cast(positions % whole, tf.float32) / tf.cast(whole, tf.float32)

    def tap(index, weight):
        weight = tf.where((index >= 0) & (index < length), weight, 0.0)
        pixels = tf.gather(part, tf.clip_by_value(index, 0, length - 1), axis=axis)
        return pixels * tf.reshape(weight, [-1] + [1] * (3 - axis))

    return tap(first, 1.0 - share) + tap(first + 1, share), begin, end
