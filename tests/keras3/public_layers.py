"""Every public layer that maps features to features, small, with its arguments away from their defaults."""

from caa import AxialAttention, ChannelAttention, ChannelizedAxialAttention, ChannelizedSelfAttention, SqueezeExcite
from car import ClassAwareEndpoint
from deeplab_ksac import KSAC, KernelSharingAtrousConv
from deeplab_ksac.any_keras import keras
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.fractional_rates import ExperimentalKernelSharingAtrousConv
from deeplab_ksac.layers import BatchNorm

CHANNELS, NUM_CLASSES = 6, 5
GATE = {"gate_width": 4, "gate_depth": 2}
NORM = BatchNorm(momentum=0.9)


def layer_norm(name):
    return keras.layers.LayerNormalization(epsilon=1e-2, name=name)


LAYERS = {  # name -> a function that makes the layer of keyword arguments
    "AxialAttention": lambda **kwargs: AxialAttention(5, 3, **kwargs),
    "AxialAttention_plain": lambda **kwargs: AxialAttention(5, 3, norm=None, **kwargs),
    "ChannelAttention": lambda **kwargs: ChannelAttention(4, 2, **kwargs),
    "ChannelizedAxialAttention": lambda **kwargs: ChannelizedAxialAttention(5, 3, **GATE, norm=layer_norm, **kwargs),
    "Algorithm_2": lambda **kwargs: ChannelizedAxialAttention(5, 3, **GATE, groups=2, **kwargs),
    "ChannelizedSelfAttention": lambda **kwargs: ChannelizedSelfAttention(5, 3, **GATE, **kwargs),
    "SqueezeExcite": lambda **kwargs: SqueezeExcite(1, **kwargs),
    "KernelSharingAtrousConv": lambda **kwargs: KernelSharingAtrousConv(5, (1, 3), norm=NORM, **kwargs),
    "KSAC": lambda **kwargs: KSAC(5, (1, 30), merge="concat", norm=NORM, **kwargs),
    "KSAC_direct": lambda **kwargs: KSAC(5, (1, 3), method="direct", norm=layer_norm_of, **kwargs),
    "KSAC_separable": lambda **kwargs: KSAC(5, (1, 3), separable=True, norm=NORM, **kwargs),
    "learned_rates": lambda **kwargs: ExperimentalKernelSharingAtrousConv(
        5, (1, 3), bounds=(1, 5), norm=NORM, **kwargs
    ),
    "dynamic_rates": lambda **kwargs: ExperimentalKernelSharingAtrousConv(
        5, (2, 3), rates="dynamic", hidden=4, norm=NORM, **kwargs
    ),
    "ASPP": lambda **kwargs: ASPP(5, (1, 3), norm=NORM, **kwargs),
    "ASPP_separable": lambda **kwargs: ASPP(5, (1, 3), separable=True, project=False, **kwargs),
    "ClassAwareEndpoint": lambda **kwargs: ClassAwareEndpoint(NUM_CLASSES, moving_average=0.9, **kwargs),
}


def layer_norm_of(**kwargs):
    return keras.layers.LayerNormalization(epsilon=1e-2, **kwargs)
