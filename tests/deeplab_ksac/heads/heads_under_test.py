"""The heads with tiny arguments, and a pyramid to feed them."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.heads.axial import (
    AxialHead,
    AxialSqueezeExciteHead,
    ChannelizedAxialHead,
    ChannelizedSelfAttentionHead,
)
from deeplab_ksac.heads.ccnet import CCNetHead
from deeplab_ksac.heads.cpnet import CPNetHead
from deeplab_ksac.heads.danet import DANetHead
from deeplab_ksac.heads.ocr import OCRHead
from deeplab_ksac.heads.pspnet import PSPNetHead
from deeplab_ksac.heads.self_attention import SelfAttentionHead
from deeplab_ksac.heads.upernet import UperNetHead
from deeplab_ksac.layers import BatchNorm
from tests.random_layers import randomize

CHANNELS = {"c2": 3, "c3": 4, "c4": 5, "c5": 6}
GATE = {"gate_width": 3, "gate_depth": 2}

# name: (class, its arguments, channels of the features, the level whose size the features have)
HEADS_UNDER_TEST = {
    "axial": (AxialHead, {"filters": 4, "key_filters": 2}, 4, "c5"),
    "axial_squeeze_excite": (AxialSqueezeExciteHead, {"filters": 4, "key_filters": 2, "ratio": 2}, 4, "c5"),
    "caa": (ChannelizedAxialHead, {"filters": 4, "key_filters": 2, **GATE}, 4, "c5"),
    "caa_groups": (ChannelizedAxialHead, {"filters": 4, "key_filters": 2, "groups": 3, **GATE}, 4, "c5"),
    "caa_image_level": (ChannelizedAxialHead, {"filters": 4, "key_filters": 2, "image_level": True, **GATE}, 8, "c5"),
    "channelized_self_attention": (ChannelizedSelfAttentionHead, {"filters": 4, "key_filters": 2, **GATE}, 4, "c5"),
    "self_attention": (SelfAttentionHead, {"filters": 4, "key_filters": 2}, 4, "c5"),
    "ccnet": (CCNetHead, {"filters": 4, "key_filters": 2}, 10, "c5"),
    "danet": (DANetHead, {"num_classes": 3, "filters": 4, "key_filters": 2}, 4, "c5"),
    "cpnet": (CPNetHead, {"filters": 4, "prior_size": (3, 5), "kernel_size": 3}, 14, "c5"),
    "ocr": (OCRHead, {"num_classes": 3, "filters": 4, "key_filters": 2}, 8, "c5"),
    "ocr_hrnet": (
        OCRHead,
        {
            "num_classes": 3,
            "filters": 4,
            "key_filters": 2,
            "levels": ("c2", "c3", "c4", "c5"),
            "coarse_levels": ("c2", "c3", "c4", "c5"),
        },
        8,
        "c2",
    ),
    "upernet": (UperNetHead, {"filters": 4, "bins": (1, 2)}, 16, "c2"),
    "pspnet": (PSPNetHead, {"filters": 2, "bins": (1, 2, 6)}, 12, "c5"),
}


def pyramid_sizes(height, width, output_stride=8):
    """Height and width of every level, for an image of height × width."""
    strides = {"c2": 4, "c3": 8, "c4": min(16, output_stride), "c5": min(32, output_stride)}
    return {level: (-(-height // stride), -(-width // stride)) for level, stride in strides.items()}


def random_pyramid(height=33, width=49, output_stride=8, seed=0):
    """A pyramid of two random images."""
    rng = np.random.default_rng(seed)
    return {
        level: tf.constant(rng.normal(size=[2, *size, CHANNELS[level]]), keras.backend.floatx())
        for level, size in pyramid_sizes(height, width, output_stride).items()
    }


def built_head(name, pyramid=None, **arguments):
    """The head with random weights, the same for the same name and arguments."""
    head_class, defaults, *_ = HEADS_UNDER_TEST[name]
    head = head_class(**{**defaults, **arguments}, norm=BatchNorm(momentum=0.9))
    head(random_pyramid() if pyramid is None else pyramid)
    return randomize(head)


def flat(outputs):
    """A head's outputs with the tuple of its features spread: {name: tensor}."""
    features = outputs["features"]
    branches = features if isinstance(features, tuple | list) else [features]
    rest = {name: value for name, value in outputs.items() if name != "features"}
    return {**{f"features_{index}": branch for index, branch in enumerate(branches)}, **rest}
