"""The Keras that `caa`, `car` and KSAC are layers of: 2 or 3, decided when the first of them is imported.

Keras 2 where it is installed as `keras` (beside TensorFlow 2.15), where the process has loaded `deeplab_ksac.keras2`,
as all of training, evaluation and export does, and where TF_USE_LEGACY_KERAS asks for it. Else Keras 3, on any backend.

What the two do differently is here, so that the layers are one source, and what both leave out of layers of layers.
"""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

KERAS_3 = not (
    int(metadata.version("keras").split(".")[0]) == 2
    or "deeplab_ksac.keras2" in sys.modules
    or os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
)
if KERAS_3:
    import keras

    BACKEND = keras.backend.backend()
    UNCAST = {"autocast": False}
    AVERAGED = {"aggregation": "mean", **UNCAST}
else:
    import tensorflow as tf

    from deeplab_ksac.keras2 import keras

    BACKEND = "tensorflow"
    UNCAST = {"experimental_autocast": False}
    AVERAGED = {
        "synchronization": tf.VariableSynchronization.ON_READ,
        "aggregation": tf.VariableAggregation.MEAN,
        **UNCAST,
    }
# UNCAST: arguments of `add_weight` for a number that keeps its type in half precision
# AVERAGED: and is averaged over replicas


class CompositeLayer(keras.layers.Layer):
    """A layer of layers: one that is made with `trainable=False` has them frozen, too.

    Keras passes `trainable` on when it is set, and not when it is given to the constructor. A frozen layer would come
    back from its configuration with layers inside that train, and with its weights in another order.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if not self.trainable:
            # an assignment of the value that is there is left out by Keras 3 on TensorFlow
            type(self).trainable.__set__(self, False)


def build_sublayer(layer: keras.layers.Layer, input_shape: Sequence[int | None]) -> None:
    """Builds a layer inside of the `build` of another, under its name: HDF5 files take no two variables of one name."""
    if KERAS_3:
        layer.build(tuple(input_shape))
    else:
        with tf.name_scope(layer.name):
            layer.build(input_shape)


def build_on_keras_3(input_shape: Sequence[int | None], *layers: keras.layers.Layer) -> None:
    """Builds layers inside of the `build` of another. Keras 2 builds them when they are first called, in that order."""
    if KERAS_3:
        for layer in layers:
            layer.build(tuple(input_shape))


def with_channels(input_shape: Sequence[int | None], channels: int) -> tuple[int | None, ...]:
    """The shape of maps of the same size with so many channels."""
    return (*input_shape[:-1], channels)


__all__ = [
    "AVERAGED",
    "BACKEND",
    "KERAS_3",
    "UNCAST",
    "CompositeLayer",
    "build_on_keras_3",
    "build_sublayer",
    "keras",
    "with_channels",
]
