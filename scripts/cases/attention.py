"""Channelized axial attention against plain axial attention and Algorithm 2: 512 channels, keys of 64, one map."""

import functools

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import AxialAttention, ChannelizedAxialAttention
from deeplab_ksac.heads.self_attention import PixelAttention
from deeplab_ksac.scripts.cases import Bound, Case

CHANNELS, KEY_FILTERS, GROUPS = 512, 64, 16
LAYERS = {
    "axial": lambda: AxialAttention(CHANNELS, KEY_FILTERS),
    "channelized": lambda: ChannelizedAxialAttention(CHANNELS, KEY_FILTERS),
    "algorithm_2": lambda: ChannelizedAxialAttention(CHANNELS, KEY_FILTERS, groups=GROUPS),
    "every_pixel": lambda: keras.Sequential([PixelAttention(CHANNELS, KEY_FILTERS)]),
}
TILE = 8  # side of the map that starts threads and memory pools before anything is measured


def prepare(layer, height, width, backward):
    """A callable that runs the layer once; with `backward` in training mode, with the gradients of all weights."""
    layer = LAYERS[layer]()
    # Made outside of TensorFlow, whose allocator would keep the memory of its temporaries for the layer's.
    features = tf.constant(np.random.default_rng(0).standard_normal([1, height, width, CHANNELS], np.float32))
    any_size = tf.TensorSpec([1, None, None, CHANNELS])

    @tf.function(input_signature=[any_size])
    def forward(features):
        return layer(features, training=False)

    @tf.function(input_signature=[any_size])
    def forward_backward(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            result = layer(features, training=True)
        return tape.gradient(result, [features, *layer.trainable_variables], tf.ones_like(result))

    run = forward_backward if backward else forward
    run(features[:, :TILE, :TILE])
    return lambda: run(features)


def attention_case(height, width, backward, bounds):
    """The layers at one size."""
    sides = {name: functools.partial(prepare, name, height, width, backward) for name in LAYERS}
    mode = "forward+backward" if backward else "forward"
    return Case(f"attention {height}×{width}, {mode}", sides, bounds)


def growth_case(backward):
    """One layer at two sizes: the time may grow no faster than H·W·(H+W)."""
    small, large = (65, 65), (129, 257)
    sides = {f"{h}×{w}": functools.partial(prepare, "channelized", h, w, backward) for h, w in (small, large)}
    growth = np.prod(large) * sum(large) / (np.prod(small) * sum(small))
    mode = "forward+backward" if backward else "forward"
    return Case(f"attention, growth, {mode}", sides, (Bound("129×257", "65×65", float(growth)),))


CASES = {
    "attention_65": attention_case(
        65,
        65,
        False,
        (
            Bound("channelized", "axial", 1.35),
            Bound("channelized", "algorithm_2", 1 / 15),
            Bound("channelized", "axial", 1.25, of="memory"),
            Bound("channelized", "algorithm_2", 1 / 8, of="memory"),
        ),
    ),
    "attention_65_training": attention_case(
        65,
        65,
        True,
        (
            Bound("channelized", "axial", 1.2),
            Bound("channelized", "algorithm_2", 1 / 20),
            Bound("channelized", "axial", 1.25, of="memory"),
            Bound("channelized", "algorithm_2", 1 / 8, of="memory"),
        ),
    ),
    "attention_129x257": attention_case(129, 257, False, (Bound("channelized", "axial", 1.35),)),
    "attention_129x257_training": attention_case(129, 257, True, (Bound("channelized", "axial", 1.2),)),
    "attention_growth": growth_case(False),
    "attention_growth_training": growth_case(True),
}
