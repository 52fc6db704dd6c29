"""Channelized axial attention against plain axial attention and against Algorithm 2."""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from caa import AxialAttention, ChannelizedAxialAttention

CHANNELS, KEY_FILTERS, GROUPS = 512, 64, 16
LAYERS = {
    "axial": lambda: AxialAttention(CHANNELS, KEY_FILTERS),
    "channelized": lambda: ChannelizedAxialAttention(CHANNELS, KEY_FILTERS),
    "algorithm_2": lambda: ChannelizedAxialAttention(CHANNELS, KEY_FILTERS, groups=GROUPS),
}
TILE = 8  # side of the map that starts threads and memory pools before memory is measured


def build_side(name, height, width, backward):
    """A callable that runs the layer `name` of `LAYERS` once on one map of height × width × 512, in float32.

    With `backward` in training mode, with the gradients of the features and of all weights.
    """
    layer = LAYERS[name]()
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


def sides(height, width, backward, names=tuple(LAYERS)):
    """The layers to compare: name -> callable that runs it once (traced and run on a small map already)."""
    return {name: build_side(name, height, width, backward) for name in names}


def extra_memory(name, height, width, backward):
    """Bytes by which the peak memory of a fresh process grows while it runs one side once."""
    command = [
        sys.executable,
        "-m",
        "scripts.cases.attention",
        name,
        str(height),
        str(width),
        str(int(backward)),
    ]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def resident_memory(field):
    """This process's resident memory in bytes: `field` is "VmRSS" (now) or "VmHWM" (its peak); Linux only.

    `getrusage` would not do: its peak is inherited from the process that started this one.
    """
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1))


if __name__ == "__main__":
    side, *size, gradient = sys.argv[1:]
    run_side = build_side(side, *map(int, size), bool(int(gradient)))
    ctypes.CDLL(None).malloc_trim(0)  # what glibc holds in reserve would hide part of the growth
    before = resident_memory("VmRSS")
    run_side()
    print(resident_memory("VmHWM") - before)
