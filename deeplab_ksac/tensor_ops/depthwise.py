"""Depthwise convolution whose kernel has a fast gradient on CPUs, however wide it is.

oneDNN takes the gradient of a depthwise kernel channel by channel, up to three pixels of width. With a wider one it
takes that of a kernel which mixes sixteen channels, and drops all but its diagonal. Yet the gradient is itself a
depthwise convolution, of the features by the gradient that arrives, and oneDNN is fast at that.
"""

from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.tensor_ops.placement import by_onednn

FAST_WIDTH = 3  # of kernels for which oneDNN's own gradient is of single channels


def depthwise_conv2d(
    features: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    atrous_rates: Sequence[int],
    training: bool | tf.Tensor | None = False,
) -> tf.Tensor:
    """A convolution of each channel by its own kernel: [N, h, w, C] · [a, b, C, M] -> [N, h', w', C·M].

    Args:
        features: [N, h, w, C] of any float type; sizes may be unknown.
        kernel: [a, b, C, M].
        strides: steps of the kernel, of rows and columns, in pixels.
        padding: "SAME" or "VALID".
        atrous_rates: distances of the kernel's taps, of rows and columns, in pixels.
        training: whether the kernel's gradient will be asked for. It is there in any case, and equal but for rounding.
    """
    kernel = tf.convert_to_tensor(kernel)
    arguments = {"strides": [1, *strides, 1], "padding": padding, "dilations": atrous_rates}
    known = training is not None and not tf.is_tensor(training)
    if not (known and training and _gradient_is_slow(features, kernel, strides, atrous_rates)):
        return tf.nn.depthwise_conv2d(features, kernel, **arguments)
    return _with_fast_gradient(features, kernel, arguments)


def _gradient_is_slow(features, kernel, strides, atrous_rates):
    """Whether oneDNN's gradient of the kernel is, and `_toward_kernel` is not."""
    return (
        kernel.shape[1] > FAST_WIDTH
        and kernel.shape[3] == 1
        and max(strides) == 1
        and len(set(atrous_rates)) == 1
        and features.shape[0] is not None
        and features.dtype in (tf.float32, tf.bfloat16)
        and by_onednn()
    )


def _with_fast_gradient(features, kernel, arguments):
    @tf.custom_gradient
    def convolved(features, kernel):
        with tf.GradientTape(persistent=True) as tape:  # a gradient may be asked for twice
            tape.watch(features)
            outputs = tf.nn.depthwise_conv2d(features, kernel, **arguments)

        def gradient(upstream):
            toward_features = tape.gradient(outputs, features, upstream)
            padding, rate = arguments["padding"], arguments["dilations"][0]
            return toward_features, _toward_kernel(features, upstream, kernel.shape, padding, rate)

        return outputs, gradient

    return convolved(features, kernel)


def _toward_kernel(features, upstream, shape, padding, rate):
    """The gradient of the kernel: Σ over pictures n and pixels p of features[n, p + rate · tap] · upstream[n, p].

    For each picture a convolution with a kernel of the map's size, whose results are `rate` pixels apart.
    """
    reaches = [rate * (side - 1) if padding == "SAME" else 0 for side in shape[:2]]
    rows, columns = ([reach // 2, reach - reach // 2] for reach in reaches)  # as TensorFlow pads: if odd, more behind
    with tf.control_dependencies([upstream]):  # else it is made right after the forward pass
        pictures = tf.unstack(tf.expand_dims(features, 1))
    kernels = tf.unstack(tf.expand_dims(upstream, -1))
    products = [
        tf.nn.depthwise_conv2d(picture, kernel, [1, rate, rate, 1], [[0, 0], rows, columns, [0, 0]])
        for picture, kernel in zip(pictures, kernels, strict=True)
    ]
    total = tf.add_n([tf.cast(product, tf.float32) for product in products])
    return tf.cast(tf.reshape(total, shape), features.dtype)
