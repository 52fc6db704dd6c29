"""The size of a backbone beside the published one, and the thesis's figures beside it."""

import pathlib

import pytest

from deeplab_ksac.backbones import BACKBONES, comparison


def test_resnet50_has_its_published_size():
    parameters, products = comparison.size_of("resnet50", 16)
    # the published 25,557,032 less the classifier, and three 3×3 convolutions in the place of one 7×7
    stem = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128) - 49 * 3 * 64 - 2 * 64
    assert parameters == 23_508_032 + stem + (128 - 64) * (64 + 256)
    # 38.177 is FCN's of Table 2.1 counted natively: with two 1×1 convolutions on 33×33 pixels, and half a multiply-add
    # for each pixel of the stem's pooling windows
    head, pooling = (2048 * 256 + 256 * 21) * 33**2, 9 * 129**2 * 128 / 2
    assert products / 2**30 == pytest.approx(38.177 - (head + pooling) / 2**30, abs=1.5e-3)


def test_lite0_has_the_multiply_adds_that_are_counted_in_timms_network():
    _, products = comparison.size_of("efficientnet_lite0", 32, side=224)
    classifier = 7 * 7 * 320 * 1280 + 1280 * 1000
    assert products + classifier == 385_187_552  # of its convolutions and its dense layer, output by output


THESIS = {  # the smallest number of each backbone and output stride in Tables 2.1, 3.1, 3.4 and 4.4
    ("resnet50", 8): (158.96, "Table 4.4"),
    ("resnet50", 16): (39.94, "Table 2.1"),
    ("resnet101", 8): (190.7, "Table 3.4"),
    ("resnet101", 16): (59.85, "Table 3.4"),
    ("xception65", 8): (231.89, "Table 2.1"),
    ("xception65", 16): (80.77, "Table 2.1"),
}


def test_the_thesis_figures_are_of_its_smallest_models():
    assert set(THESIS) <= {(name, stride) for name in BACKBONES for stride in (8, 16)}
    for name in BACKBONES:
        for stride in (8, 16, 32):
            giga, table = THESIS.get((name, stride), (None, None))
            found = comparison.smallest_in_thesis(name, stride)
            assert found is None if giga is None else (found[0] == giga and found[1].endswith(table))


@pytest.mark.parametrize("name", [name for name in BACKBONES if name.startswith(comparison.STRIDED)])
def test_a_backbone_whose_strides_stay_is_listed_at_32_alone(name):
    assert comparison.dense_strides(name) == (32,)
    with pytest.raises(ValueError, match="cannot be dilated: its output_stride must be 32, not 8"):
        BACKBONES[name](8)


def test_dense_backbones_are_listed_at_8_and_16():
    for name in BACKBONES:
        if not name.startswith(comparison.STRIDED):
            assert comparison.dense_strides(name) == (8, 16)


def test_every_backbone_can_be_compared_with_a_network_of_timms():
    assert {backbone for backbone, _ in comparison.NETWORKS.values()} == set(BACKBONES)
    assert comparison.network_of(pathlib.Path("references/hrnet_w48_os32.safetensors")) == ("hrnet_w48", 32)
