"""Wide depthwise kernels against TensorFlow's own gradient: forward and backward of the layer, and a step of a network.

The layers are those of EfficientNet-Lite0 at output stride 16 and of ConvNeXt, for crops of 321×321. Where oneDNN does
not compute, both sides are the same.
"""

import contextlib
import functools
from unittest import mock

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.tensor_ops import depthwise

LAYERS = {  # (pictures, side of the map), channels, side of the kernel, rate
    "5": ((8, 21), 672, 5, 1),
    "5_rate_2": ((8, 21), 1152, 5, 2),
    "7": ((4, 81), 96, 7, 1),
}
NETWORKS = {  # backbone -> output stride, side of a crop, crops in a batch
    "efficientnet_lite0": (16, 321, 8),
    "efficientnet_b0": (16, 321, 4),
    "convnext_tiny": (32, 257, 2),
}


def layer_gradients(maps, channels, side, rate, training):
    """A callable that computes a layer and the gradients of features and kernel, by our gradient or TensorFlow's."""
    (pictures, size), rng = maps, np.random.default_rng(0)
    features, upstream = (
        tf.constant(rng.standard_normal([pictures, size, size, channels], np.float32)) for _ in range(2)
    )
    kernel = tf.Variable(rng.standard_normal([side, side, channels, 1], np.float32))

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = depthwise.depthwise_conv2d(features, kernel, (1, 1), "SAME", (rate, rate), training)
        return tape.gradient(outputs, [features, kernel], upstream)

    return run


def network_gradients(network, output_stride, size, count, ours):
    """A callable that computes all gradients of a backbone, those of wide kernels by our gradient or TensorFlow's."""
    model = BACKBONES[network](output_stride)
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, [count, size, size, 3]), tf.float32)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True)["c5"]))
        return tape.gradient(loss, model.trainable_variables)

    with contextlib.nullcontext() if ours else mock.patch.object(depthwise, "by_onednn", lambda: False):
        return gradients.get_concrete_function()


def layer_case(maps, channels, side, rate):
    """One layer, both gradients."""
    prepare = functools.partial(layer_gradients, maps, channels, side, rate)
    return Case(
        title=f"depthwise {side}×{side}, rate {rate}, {maps[0]}×{maps[1]}×{maps[1]}×{channels}",
        sides={"ours": functools.partial(prepare, True), "tensorflow": functools.partial(prepare, False)},
        bounds=(Bound("ours", "tensorflow", 0.6), Bound("ours", "tensorflow", None, of="memory")),
    )


def network_case(network, output_stride, size, count):
    """One backbone, all gradients."""
    prepare = functools.partial(network_gradients, network, output_stride, size, count)
    return Case(
        title=f"{network}, {count} crops of {size}×{size}",
        sides={"ours": functools.partial(prepare, True), "tensorflow": functools.partial(prepare, False)},
        bounds=(Bound("ours", "tensorflow", 1.0),),
    )


CASES = {f"depthwise_{name}": layer_case(*layer) for name, layer in LAYERS.items()} | {
    f"depthwise_{name}": network_case(name, *batch) for name, batch in NETWORKS.items()
}
