"""Whole numbers that no network has: each part says so in one line, or is built at once."""

import inspect
import time

import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.construct import construct
from deeplab_ksac.experiment import Part
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import DECODERS, Bottleneck
from deeplab_ksac.heads.necks import NECKS
from deeplab_ksac.heads.projection import PROJECTIONS
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.losses import LOSSES
from tests.deeplab_ksac.tiny_backbone import tiny_backbone

TABLES = {
    **{"backbones": BACKBONES, "heads": HEADS, "necks": NECKS, "decoders": DECODERS, "projections": PROJECTIONS},
    **{"losses": LOSSES, "others": {"bottleneck": Bottleneck, "auxiliary": AuxiliaryClassifier}},
}
VALUES = (2**31, 2**31 - 1, 10**6, 0, -1, True, "3", 2.5, None)
NAMED = {"window_size": "window"}  # where the message has another word
SMALL = {"filters": 8, "key_filters": 4}  # so that what is built is built quickly
SECONDS = 5.0  # of a process that shares its cores: what is refused takes milliseconds


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def whole_numbers():
    """(kind, name, argument, default) of every argument that is a whole number, or several."""
    for kind, table in TABLES.items():
        for name, constructor in table.items():
            for argument in inspect.signature(constructor).parameters.values():
                default, said = argument.default, str(argument.annotation)
                several = isinstance(default, tuple) and default and all(map(is_whole, default))
                if is_whole(default) or several or "int" in said.replace("Mapping", ""):
                    yield kind, name, argument.name, default


def changes(default):
    """The argument with each value, and where it is several numbers with one of them, or all, of the value."""
    for value in VALUES:
        yield value
        if isinstance(default, tuple):
            yield from ((*default[:-1], value), (value,) * len(default), (value, *default[1:]))


def build(kind, part):
    """Builds a part and calls what it gives on a small pyramid; nothing where it is a loss."""
    shared = {"norm": BatchNorm(), "output_stride": 16, "num_classes": 3}
    if kind == "backbones":
        shared["output_stride"] = 32
    shared |= SMALL if kind in ("heads", "necks") else {}
    built = construct(TABLES[kind], part, **{name: value for name, value in shared.items() if name not in part.args})
    if kind in ("losses", "backbones"):
        return
    pyramid = tiny_backbone().output
    if kind in ("heads", "necks") or part.name == "auxiliary":
        built(pyramid)
    elif kind == "decoders":
        built(pyramid["c5"], pyramid)
    else:
        built(pyramid["c5"])


ARGUMENTS = list(whole_numbers())


def test_the_arguments_that_are_known_to_grow_are_among_them():
    found = {(kind, name, argument) for kind, name, argument, _ in ARGUMENTS}
    assert {
        *{("heads", "caa", "gate_depth"), ("heads", "ccnet", "recurrence"), ("heads", "pspnet", "bins")},
        *{("heads", "ksac", "atrous_rates"), ("heads", "cpnet", "prior_size"), ("backbones", "resnet50", "blocks")},
        *{("backbones", "xception65", "middle_blocks"), ("backbones", "swin_tiny", "depths")},
        *{("necks", "joint_pyramid_upsampling", "atrous_rates"), ("decoders", "low_level", "filters")},
        *{("losses", "ohem", "min_kept"), ("losses", "class_aware", "pooling"), ("others", "bottleneck", "filters")},
    } <= found
    assert {kind for kind, *_ in found} == set(TABLES)


@pytest.mark.parametrize(("kind", "name"), sorted({(kind, name) for kind, name, *_ in ARGUMENTS}))
def test_a_number_that_no_network_has_is_one_line_or_built_at_once(kind, name):
    for _, _, argument, default in (each for each in ARGUMENTS if each[:2] == (kind, name)):
        for value in changes(default):
            if value == default and type(value) is type(default):
                continue
            if kind == "backbones" and value is None and default is None:
                continue
            started = time.monotonic()
            try:
                build(kind, Part(name, {argument: value}))
            except ValueError as error:
                assert "\n" not in str(error) and NAMED.get(argument, argument) in str(error), (argument, value)
            keras.backend.clear_session()
            assert time.monotonic() - started < SECONDS, (argument, value)


@pytest.mark.parametrize("number", [2**31, 10**6, 0, -1, True, "3", 2.5, None])
@pytest.mark.parametrize("field", ["repeats", "kernel_size", "filters_in", "filters_out", "expand_ratio", "strides"])
def test_a_number_of_efficientnets_blocks_is_named(field, number):
    block = {"kernel_size": 3, "repeats": 1, "filters_in": 8, "filters_out": 8, "expand_ratio": 1, "strides": 1}
    block |= {"id_skip": True, "se_ratio": 0.25}
    with pytest.raises(ValueError, match=rf"^blocks\[1\]\.{field} must be an integer of at (least|most) \d+, not "):
        construct(BACKBONES, Part("efficientnet_b0", {"blocks": (block, {**block, field: number})}))


@pytest.mark.parametrize("factor", [0, -1, 1e9, float("nan"), float("inf"), True, "1", None])
@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("mobilenet_v2", "alpha"),
        ("xception65", "width"),
        ("efficientnet_lite0", "width"),
        ("efficientnet_lite0", "depth"),
    ],
)
def test_a_factor_that_no_network_has_is_one_line(name, argument, factor):
    with pytest.raises(ValueError, match=argument) as raised:
        construct(BACKBONES, Part(name, {argument: factor}))
    assert "\n" not in str(raised.value)
