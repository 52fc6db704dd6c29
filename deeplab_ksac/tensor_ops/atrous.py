"""Atrous convolution as one native operation, with a gradient on every device.

TensorFlow has a native gradient of dilated convolutions on GPUs, under XLA, and on those CPUs for which it switches its
oneDNN kernels on (AVX-512 with VNNI and later). On others the backward pass fails when it runs, so everywhere but on a
GPU it is written out here: again a native dilated convolution for the features, one matrix product per tap for the
kernel. What counts is the device on which the convolution runs, not those that the machine has besides.
"""

import itertools
from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.tensor_ops.placement import on_gpu


def atrous_conv2d(
    features: tf.Tensor, kernel: tf.Tensor, atrous_rate: int | Sequence[int], padding: str = "SAME"
) -> tf.Tensor:
    """A kernel with its taps `atrous_rate` pixels apart: [N, h, w, C] · [a, b, C, D] -> [N, h', w', D].

    One native convolution: faster than space-to-batch around a plain convolution at every rate (3.8 times at rate 36 on
    a CPU), and the profiler counts its true multiply-adds.

    Args:
        features: [N, h, w, C] of any float type; h and w may be unknown.
        kernel: [a, b, C, D].
        atrous_rate: one number, or one for rows and one for columns.
        padding: "SAME" (h' = h, w' = w) or "VALID".
    """
    rates = (atrous_rate, atrous_rate) if isinstance(atrous_rate, int) else tuple(atrous_rate)
    if max(rates) == 1 or on_gpu():
        return tf.nn.conv2d(features, kernel, 1, padding, dilations=rates)
    reach = [rate * (side - 1) for rate, side in zip(rates, kernel.shape[:2], strict=True)]
    # as TensorFlow pads: where the sum is odd, the larger part is at the bottom and the right
    before = [extent // 2 if padding == "SAME" else 0 for extent in reach]
    after = [extent - first if padding == "SAME" else 0 for extent, first in zip(reach, before, strict=True)]
    return _convolve(features, tf.convert_to_tensor(kernel), rates, before, after)


def _convolve(features, kernel, rates, before, after):
    """Convolution of a map padded by `before` and `after` (rows, columns), with its gradient."""
    reach = [rate * (side - 1) for rate, side in zip(rates, kernel.shape[:2], strict=True)]

    @tf.custom_gradient
    def convolution(features, kernel):
        def gradient(upstream):
            with tf.control_dependencies([upstream]):  # else those of all layers are made right after the forward pass
                turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
            outside = [[total - pad for total, pad in zip(reach, pads, strict=True)] for pads in (before, after)]
            toward_features = _convolve(upstream, turned, rates, *outside)  # which has a gradient, too
            return toward_features, _toward_kernel(features, upstream, kernel.shape, rates, before)

        return _padded(features, kernel, rates, before, after), gradient

    return convolution(features, kernel)


def _padded(features, kernel, rates, before, after):
    paddings = [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]]
    return tf.nn.conv2d(features, kernel, 1, paddings, dilations=rates)


def _toward_kernel(features, upstream, shape, rates, before):
    """The gradient of the kernel, tap by tap: Σ over the pixels that the tap reads, none of them in the padding.

    What a tap reads is a copy of nearly all features. It waits for the gradient that arrives, and for the tap before:
    TensorFlow would make the copies for all layers and taps as soon as the features are there, in the forward pass.
    """
    *sides, inputs, outputs = shape
    spans = [
        [_written(tap * rate - first, size, results) for tap in range(side)]
        for side, rate, first, size, results in zip(sides, rates, before, _size(features), _size(upstream), strict=True)
    ]
    taps, earlier = [], [upstream]
    for (top, bottom, height), (left, right, width) in itertools.product(*spans):
        with tf.control_dependencies(earlier):
            read = features[:, top + height : bottom + height, left + width : right + width]
            written = upstream[:, top:bottom, left:right]
        tap = tf.matmul(tf.reshape(read, [-1, inputs]), tf.reshape(written, [-1, outputs]), transpose_a=True)
        taps, earlier = [*taps, tap], [tap]
    return tf.reshape(tf.stack(taps), shape)


def _written(distance, size, results):
    """(begin, end, distance) of the results p in 0…results−1 that read a pixel p + distance of 0…size−1."""
    known = isinstance(size, int) and isinstance(results, int)
    least, most = (min, max) if known else (tf.minimum, tf.maximum)
    begin = least(max(0, -distance), results)
    return begin, most(least(results, size - distance), begin), distance


def _size(maps):
    """[height, width], Python integers where they are known: `maps.spatial_size`, which needs this module."""
    return [tf.shape(maps)[axis] if maps.shape[axis] is None else maps.shape[axis] for axis in (1, 2)]
