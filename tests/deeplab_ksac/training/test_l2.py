"""L2 acts on the kernels of plain convolutions and dense layers, in every head and backbone, and on nothing else.

It chooses by name, and names are Keras' affair: Keras 3 calls depthwise kernels `kernel` too.
"""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import Bottleneck, LowLevelDecoder
from deeplab_ksac.heads.necks import JointPyramidUpsampling
from deeplab_ksac.heads.projection import LinearProjection
from deeplab_ksac.training.step import l2_norm, regularized_kernels
from tests.deeplab_ksac.backbones.strided_models import MODULES, build
from tests.deeplab_ksac.backbones.test_backbones import TINY
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS, built_head, random_pyramid

ACTS_ON = {  # kind of a layer with weights of its own -> which of them L2 acts on
    "AtrousConv2D": {"kernel"},
    "AtrousDepthwiseConv2D": set(),
    "Conv2D": {"kernel"},
    "ConvNeXtBlock": set(),
    "Dense": {"kernel"},
    "DepthwiseConv2D": set(),
    "ExperimentalKernelSharingAtrousConv": {"kernel"},
    "KernelSharingAtrousConv": {"kernel"},
    "LayerNormalization": set(),
    "Rezero": set(),
    "SynchronizableBatchNormalization": set(),
    "WindowAttention": set(),
}
MAP = tf.zeros([2, 5, 5, 4])
OTHERS = {
    "auxiliary": lambda: called(AuxiliaryClassifier(3, filters=4), random_pyramid()),
    "bottleneck": lambda: called(Bottleneck(4, 3), MAP),
    "low_level": lambda: called(LowLevelDecoder(4, low_level_filters=2), MAP, random_pyramid()),
    "low_level_separable": lambda: called(
        LowLevelDecoder(4, low_level_filters=2, separable=True), MAP, random_pyramid()
    ),
    "neck": lambda: called(JointPyramidUpsampling(filters=4, atrous_rates=(1, 2)), random_pyramid()),
    "projection": lambda: called(LinearProjection(4), MAP),
}
MADE = {
    **{f"head_{name}": lambda name=name: built_head(name) for name in VARIANTS},
    **{name: lambda name=name: BACKBONES[name](16, **TINY[name]) for name in TINY},
    **{family: lambda family=family: build(family) for family in MODULES},
    **OTHERS,
}


def called(layer, *arguments):
    """The layer, built."""
    layer(*arguments)
    return layer


@pytest.mark.parametrize("name", sorted(MADE))
def test_l2_acts_on_these_kernels_alone(name):
    layer = MADE[name]()
    expected = set()
    for part in layer._flatten_layers():
        if part._trainable_weights:
            assert type(part).__name__ in ACTS_ON, "a new kind of layer has to be in the list"
            expected |= {getattr(part, weight).ref() for weight in ACTS_ON[type(part).__name__]}
    assert {kernel.ref() for kernel in regularized_kernels(layer.trainable_weights)} == expected
    literal = sum(np.sum(np.square(kernel.deref().numpy(), dtype="float64")) for kernel in expected)
    if expected:
        assert float(l2_norm(layer.trainable_weights)) == pytest.approx(literal, rel=1e-5)


def test_a_depthwise_kernel_is_not_called_as_a_plain_one():
    """The name that the choice rests on; of Keras 3 it fails."""
    for kind in (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D):
        layer = called(kind(*((3,) if kind is keras.layers.DepthwiseConv2D else (4, 3))), MAP)
        assert regularized_kernels(layer.trainable_weights) == []
