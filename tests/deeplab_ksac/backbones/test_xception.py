"""Aligned Xception-65 against the published architecture."""

import numpy as np
import pytest

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.xception import xception65

TINY = {"width": 1 / 16, "middle_blocks": 1}


@pytest.fixture(scope="module")
def whole():
    return BACKBONES["xception65"](16)


def test_parameters_are_the_published_ones(whole):
    # timm's xception65 has 39,916,312 with a classifier of 2048 · 1000 + 1000
    assert sum(int(np.prod(w.shape)) for w in whole.trainable_weights) == 39_916_312 - 2_049_000


def test_endpoints_enter_the_strides_and_have_deeplabs_channels(whole):
    assert {stage: x.shape[-1] for stage, x in whole.output.items()} == {"c2": 256, "c3": 728, "c4": 1024, "c5": 2048}


def test_it_has_65_convolutions_of_which_the_shortcuts_are_not_counted(whole):
    names = [layer.name for layer in whole.layers if layer.name.endswith("_conv")]
    depthwise = [name for name in names if name.endswith("depthwise_conv")]
    shortcuts = [name for name in names if "shortcut" in name]
    assert (len(depthwise), len(names) - len(depthwise) - len(shortcuts), len(shortcuts)) == (63, 65, 4)


def rates(output_stride, **arguments):
    model = xception65(output_stride, **TINY, **arguments)
    return {
        f"{block}_{number}": model.get_layer(f"block{block}_{number}_depthwise_conv").dilation_rate[0]
        for block in range(2, 7)
        for number in (1, 2, 3)
    }


def test_blocks_after_a_removed_stride_are_dilated_and_the_block_itself_is_not():
    at_8 = rates(8)
    assert [at_8[f"{block}_3"] for block in range(2, 7)] == [1, 1, 2, 2, 4]


def test_multi_grid_multiplies_the_rates_of_the_last_block():
    found = rates(16, multi_grid=(1, 2, 4))
    assert [found[f"{block}_3"] for block in range(2, 7)] == [1, 1, 1, 1, 8]
    assert [found[f"6_{number}"] for number in (1, 2, 3)] == [2, 4, 8]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"middle_blocks": 0}, "middle_blocks must be at least 1, not 0"),
        ({"multi_grid": (1, 2)}, r"multi_grid must be three factors, not \(1, 2\)"),
        ({"preprocessing": "gray"}, "preprocessing must be one of"),
    ],
)
def test_wrong_arguments_are_refused_in_words(arguments, message):
    with pytest.raises(ValueError, match=message):
        xception65(16, **{**TINY, **arguments})
