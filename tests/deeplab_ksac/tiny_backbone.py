"""A backbone of five convolutions, for tests of what comes behind a backbone."""

import contextlib

import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.experiment import part

TINY_BACKBONE = part("tiny")


def tiny_backbone(output_stride=16, *, norm=None):
    """A convolution for each stage, with the strides and the contract of a backbone of `BACKBONES`."""
    image = keras.Input([None, None, 3], name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    x = keras.layers.Conv2D(2, 1, strides=2, name="stem")(x)
    pyramid = {}
    for level, stride in (("c2", 4), ("c3", 8), ("c4", 16), ("c5", 32)):
        x = keras.layers.Conv2D(4, 1, strides=2 if stride <= output_stride else 1, name=level)(x)
        pyramid[level] = x
    return keras.Model(image, pyramid)


@contextlib.contextmanager
def tiny_backbone_known():
    """`BACKBONES` holds the tiny one while this is entered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, TINY_BACKBONE.name, tiny_backbone)
        yield
