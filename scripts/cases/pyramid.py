"""KSAC's pyramid against the separate convolutions of ASPP: 2048 -> 256 channels, float32, one map."""

import functools

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.ksac import direct_atrous_products
from deeplab_ksac.layers import atrous_conv2d
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.shared_products import shared_atrous_products

CHANNELS, FILTERS = 2048, 256


def separate_products(features, kernels, atrous_rates):
    """What our ASPP computes: a kernel of its own for every rate, with the gradient of `tensor_ops/atrous.py`."""
    return [atrous_conv2d(features, kernel, rate) for kernel, rate in zip(kernels, atrous_rates, strict=True)]


def native_products(features, kernels, atrous_rates):
    """The same with TensorFlow's own gradient, which CPUs without AVX-512 VNNI do not have."""
    return [
        tf.nn.conv2d(features, kernel, 1, "SAME", dilations=rate)
        for kernel, rate in zip(kernels, atrous_rates, strict=True)
    ]


def keras_products(features, kernels, atrous_rates):
    """The same as Keras' dilated convolutions compute it: space to batch, convolution, batch to space."""
    return [
        tf.nn.convolution(features, kernel, padding="SAME", dilations=rate)
        for kernel, rate in zip(kernels, atrous_rates, strict=True)
    ]


def prepare(products, kernels, size, atrous_rates, backward):
    """A callable that runs one side once: forward, or forward and backward to features and kernels."""
    rng = np.random.default_rng(0)
    features = tf.constant(rng.standard_normal([1, size, size, CHANNELS], np.float32))
    shape = [3, 3, CHANNELS, FILTERS]
    variables = [tf.Variable(0.02 * rng.standard_normal(shape, np.float32)) for _ in range(kernels or 1)]

    def forward():
        return products(features, variables if kernels else variables[0], atrous_rates)

    def forward_backward():
        with tf.GradientTape() as tape:
            tape.watch(features)
            branches = forward()
        return tape.gradient(branches, [features, *variables], [tf.ones_like(branch) for branch in branches])

    return tf.function(forward_backward if backward else forward)


def pyramid_case(size, atrous_rates, backward, at_most):
    """KSAC's shared product and Algorithm 1 against ASPP's convolutions, native and as Keras has them."""
    side = functools.partial(prepare, size=size, atrous_rates=atrous_rates, backward=backward)
    rates = " ".join(map(str, atrous_rates))
    return Case(
        title=f"pyramid {size}×{size}, rates {rates}, {'forward+backward' if backward else 'forward'}",
        sides={
            "ksac": functools.partial(side, shared_atrous_products, 0),
            "ksac_direct": functools.partial(side, direct_atrous_products, 0),
            "aspp": functools.partial(side, separate_products, len(atrous_rates)),
            "aspp_native": functools.partial(side, native_products, len(atrous_rates)),
            "aspp_keras": functools.partial(side, keras_products, len(atrous_rates)),
        },
        bounds=(
            Bound("ksac", "aspp_native", at_most),
            Bound("ksac", "aspp", at_most),
            Bound("ksac", "ksac_direct", 1.0),
            Bound("ksac", "aspp_keras", at_most),
            Bound("ksac", "aspp_native", 1.0, of="memory"),
            Bound("ksac", "aspp", 1.0, of="memory"),
        ),
    )


CASES = {
    "pyramid_33": pyramid_case(33, (6, 12, 18), False, 0.60),
    "pyramid_65": pyramid_case(65, (12, 24, 36), False, 0.42),
    "pyramid_33_five_rates": pyramid_case(33, (1, 6, 12, 18, 24), False, 0.36),
    "pyramid_33_training": pyramid_case(33, (6, 12, 18), True, 0.42),
    "pyramid_65_training": pyramid_case(65, (12, 24, 36), True, 0.30),
    "pyramid_33_five_rates_training": pyramid_case(33, (1, 6, 12, 18, 24), True, 0.28),
}
