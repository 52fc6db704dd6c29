"""The heads with tiny arguments, and a pyramid to feed them."""

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.heads import HEADS
from deeplab_ksac.layers import BatchNorm
from tests.random_layers import randomize

CHANNELS = {"c2": 3, "c3": 4, "c4": 5, "c5": 6}
GATE = {"gate_width": 3, "gate_depth": 2}

ATTENTION = {"filters": 4, "key_filters": 2}
ALL_LEVELS = {"levels": ("c2", "c3", "c4", "c5"), "coarse_levels": ("c2", "c3", "c4", "c5")}
RATES_IN_BOUNDS = {"filters": 2, "atrous_rates": (2, 3), "bounds": (1, 3)}  # that reach the map of the tests

# a head of HEADS, or a variant of one: (name, its arguments, channels of the features, the level whose size they have)
VARIANTS = {
    "fcn": ("fcn", {"filters": 4, "kernel_size": 3}, 4, "c5"),
    "deeplabv3": ("deeplabv3", {"filters": 2}, 10, "c5"),
    "deeplabv3_separable": ("deeplabv3", {"filters": 2, "separable": True, "atrous_rates": (1, 3)}, 8, "c5"),
    "ksac": ("ksac", {"filters": 2, "atrous_rates": (2, 6)}, 6, "c5"),
    "ksac_concat": ("ksac", {"filters": 2, "atrous_rates": (1, 2), "merge": "concat", "output_stride": 8}, 8, "c5"),
    "ksac_separable": ("ksac", {"filters": 2, "atrous_rates": (2, 6), "separable": True}, 6, "c5"),
    "ksac_learned": ("experimental_ksac_learned", RATES_IN_BOUNDS, 6, "c5"),
    "ksac_dynamic": ("experimental_ksac_dynamic", {**RATES_IN_BOUNDS, "output_stride": 8}, 6, "c5"),
    "axial": ("axial", ATTENTION, 4, "c5"),
    "axial_squeeze_excite": ("axial_squeeze_excite", {**ATTENTION, "ratio": 2}, 4, "c5"),
    "caa": ("caa", {**ATTENTION, **GATE}, 4, "c5"),
    "caa_groups": ("caa", {**ATTENTION, "groups": 3, **GATE}, 4, "c5"),
    "caa_image_level": ("caa", {**ATTENTION, "image_level": True, **GATE}, 8, "c5"),
    "channelized_self_attention": ("channelized_self_attention", {**ATTENTION, **GATE}, 4, "c5"),
    "self_attention": ("self_attention", ATTENTION, 4, "c5"),
    "ccnet": ("ccnet", ATTENTION, 10, "c5"),
    "danet": ("danet", {**ATTENTION, "num_classes": 3}, 4, "c5"),
    "sequential": ("sequential", {**ATTENTION, "ratio": 2, "num_classes": 3}, 4, "c5"),
    "cpnet": ("cpnet", {"filters": 4, "prior_size": (3, 5), "kernel_size": 3}, 14, "c5"),
    "ocr": ("ocr", {**ATTENTION, "num_classes": 3}, 8, "c5"),
    "ocr_hrnet": ("ocr", {**ATTENTION, "num_classes": 3, **ALL_LEVELS}, 8, "c2"),
    "upernet": ("upernet", {"filters": 4, "bins": (1, 2)}, 16, "c2"),
    "pspnet": ("pspnet", {"filters": 2, "bins": (1, 2, 6)}, 12, "c5"),
}
HEADS_UNDER_TEST = {variant: (HEADS[name], *rest) for variant, (name, *rest) in VARIANTS.items()}


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
