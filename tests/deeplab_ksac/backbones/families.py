"""The families of keras.applications with their sizes open, which are in Keras' source alone."""

import importlib

from deeplab_ksac.keras2 import keras

SOURCE = keras.layers.Layer.__module__.split(".engine.")[0]  # keras.src, or tf_keras.src


def family(name):
    """The module of one family, such as "resnet"."""
    return importlib.import_module(f"{SOURCE}.applications.{name}")
