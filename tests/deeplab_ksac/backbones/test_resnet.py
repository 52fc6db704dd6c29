"""ResNet against the published architecture: parameters, multiply-adds, strides and rates."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.resnet import VARIANTS, plan_blocks, resnet
from deeplab_ksac.layers import BatchNorm
from tests.deeplab_ksac.backbones.random_weights import randomize

TINY = {"blocks": (1, 1, 1, 1), "width": 4}


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


# Published counts of the networks without their classifiers: 25,557,032 and 44,549,160 less 2048 · 1000 + 1000.
@pytest.mark.parametrize("name, parameters", [("resnet50", 23_508_032), ("resnet101", 42_500_160)])
def test_parameters_with_the_7x7_stem_are_the_published_ones(name, parameters):
    assert count(BACKBONES[name](16, stem="7x7").trainable_weights) == parameters


def test_the_deep_stem_has_three_convolutions_and_128_channels():
    shapes = {w.name: w.shape.as_list() for w in resnet(16, blocks=(1, 1, 1, 1)).weights if "kernel" in w.name}
    assert shapes["stem1_conv/kernel:0"] == [3, 3, 3, 64]
    assert shapes["stem2_conv/kernel:0"] == [3, 3, 64, 64]
    assert shapes["stem3_conv/kernel:0"] == [3, 3, 64, 128]
    assert shapes["stage2_block1_1_conv/kernel:0"] == [1, 1, 128, 64]
    assert shapes["stage2_block1_shortcut_conv/kernel:0"] == [1, 1, 128, 256]


def test_the_narrow_deep_stem_is_that_of_resnet_c():
    shapes = {w.name: w.shape.as_list() for w in resnet(16, blocks=(1, 1, 1, 1), stem="deep_narrow").weights}
    found = [shapes[f"stem{number}_conv/kernel:0"] for number in (1, 2, 3)]
    assert found == [[3, 3, 3, 32], [3, 3, 32, 32], [3, 3, 32, 64]]


def multiply_adds(model, side):
    """Of all convolutions; a pooling counts one operation per pixel of its window, half a multiply-add."""
    fixed, total = keras.models.clone_model(model, input_tensors=keras.Input([side, side, 3])), 0
    for layer in fixed.layers:
        pixels = np.prod(layer.output.shape[1:3])
        total += sum(np.prod(w.shape) for w in layer.weights if "kernel" in w.name) * pixels
        if hasattr(layer, "pool_size"):
            total += np.prod(layer.pool_size) * pixels * layer.output.shape[-1] / 2
    return total


def fcn_head(pixels):
    return (2048 * 256 + 256 * 21) * pixels


def aspp_head(pixels):
    image_level = 2048 * pixels / 2 + 2048 * 256
    return image_level + (2048 * 256 + 3 * 9 * 2048 * 256 + 1280 * 256 + 256 * 21) * pixels


def self_attention_head(pixels):
    softmax = 5 * pixels**2 / 2
    projections = 9 * 2048 * 512 + 512 * (64 + 64 + 512) + 9 * 512 * 512 + 512 * 59
    return projections * pixels + (64 + 512) * pixels**2 + softmax


@pytest.mark.parametrize(
    "name, output_stride, variant, head, giga",
    [
        ("resnet50", 16, "std", fcn_head, 38.177),
        ("resnet101", 8, "std", aspp_head, 235.557),
        ("resnet50", 8, "slim", self_attention_head, 158.78),
    ],
)
def test_multiply_adds_at_513_are_those_of_the_thesis_counted_natively(name, output_stride, variant, head, giga):
    model, pixels = BACKBONES[name](output_stride, variant=variant), (512 // output_stride + 1) ** 2
    digits = 2 if variant == "slim" else 3  # of the number compared with; biases are left out, 1e-3 at most
    assert (multiply_adds(model, 513) + head(pixels)) / 2**30 == pytest.approx(giga, abs=0.5 * 10**-digits + 1e-3)


def rates(output_stride, variant, multi_grid=(1, 2, 4)):
    plan = plan_blocks((3, 4, 6, 3), output_stride, VARIANTS[variant], multi_grid)
    return [[block.rate for block in stage] for stage in plan]


def strides(output_stride, variant):
    plan = plan_blocks((3, 4, 6, 3), output_stride, VARIANTS[variant], (1, 1, 1))
    return [[block.stride for block in stage] for stage in plan]


def test_std_doubles_the_rate_of_the_whole_stage_that_lost_its_stride():
    assert rates(32, "std") == [[1] * 3, [1] * 4, [1] * 6, [1, 2, 4]]
    assert rates(16, "std") == [[1] * 3, [1] * 4, [1] * 6, [2, 4, 8]]
    assert rates(8, "std") == [[1] * 3, [1] * 4, [2] * 6, [4, 8, 16]]


def test_slim_doubles_the_rate_from_the_block_that_lost_its_stride():
    assert rates(16, "slim") == [[1] * 3, [1] * 4, [1] * 5 + [2], [2, 4, 8]]
    assert rates(8, "slim") == [[1] * 3, [1] * 3 + [2], [2] * 5 + [4], [4, 8, 16]]


def test_beta_and_v1_5_double_the_rate_after_the_block_that_lost_its_stride():
    assert rates(8, "beta") == [[1] * 3, [1] * 4, [2] * 6, [4, 8, 16]]
    assert rates(8, "v1.5", (1, 1, 1)) == [[1] * 3, [1] * 4, [1] + [2] * 5, [2, 4, 4]]


def test_strides_lie_at_the_stages_first_or_last_block():
    assert strides(32, "std") == strides(32, "v1.5") == [[1] * 3, [2, 1, 1, 1], [2, 1, 1, 1, 1, 1], [2, 1, 1]]
    assert strides(32, "slim") == strides(32, "beta") == [[1, 1, 2], [1, 1, 1, 2], [1] * 5 + [2], [1] * 3]
    assert strides(8, "slim") == [[1, 1, 2], [1] * 4, [1] * 6, [1] * 3]


@pytest.mark.parametrize(
    "variant, strided",
    [
        ("std", {"stage3_block1_1_conv", "stage3_block1_shortcut_conv"}),
        ("v1.5", {"stage3_block1_2_conv", "stage3_block1_shortcut_conv"}),
        ("slim", {"stage3_block2_2_conv", "stage3_block2_shortcut_pool"}),
        ("beta", {"stage3_block2_2_conv", "stage3_block2_shortcut_pool"}),
    ],
)
def test_each_variant_strides_in_its_own_convolution(variant, strided):
    model = resnet(32, blocks=(2, 2, 2, 1), width=2, variant=variant)
    found = {layer.name for layer in model.layers if max(getattr(layer, "strides", (1,))) > 1}
    assert {name for name in found if name.startswith("stage3")} == strided


@pytest.mark.parametrize("variant", ["std", "v1.5", "beta"])
@pytest.mark.parametrize("size", [64, 65])
def test_dense_variants_contain_the_strided_one_at_odd_and_even_sizes(variant, size):
    keras.mixed_precision.set_global_policy("float64")
    image = np.random.default_rng(0).uniform(0, 255, [1, size, size, 3]).astype("float32")
    strided, dense = (resnet(s, variant=variant, blocks=(1, 2, 2, 2), width=2, stem="7x7") for s in (32, 8))
    randomize(strided)
    dense.set_weights(strided.get_weights())
    for stage, step in {"c2": 1, "c3": 1, "c4": 2, "c5": 4}.items():
        expected = strided(image)[stage]
        # float64 rounds at 2e-16; no output is a sum of more than 2^12 terms
        np.testing.assert_allclose(
            dense(image)[stage][:, ::step, ::step], expected, rtol=0, atol=1e-12 * np.abs(expected).max()
        )


@pytest.mark.parametrize("variant", ["slim", "beta"])
def test_variants_that_stride_at_a_stages_end_give_what_enters_the_stride(variant):
    pyramid = resnet(32, variant=variant, blocks=(2, 2, 2, 2), width=2)(np.zeros([1, 65, 65, 3], "float32"))
    assert {stage: x.shape[1:] for stage, x in pyramid.items()} == {
        "c2": (17, 17, 8),
        "c3": (9, 9, 16),
        "c4": (5, 5, 32),
        "c5": (3, 3, 64),
    }


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_stages_of_one_block_work_in_every_variant(variant):
    pyramid = resnet(16, variant=variant, **TINY)(np.zeros([1, 33, 33, 3], "float32"))
    assert {stage: x.shape[1] for stage, x in pyramid.items()} == {"c2": 9, "c3": 5, "c4": 3, "c5": 3}


def test_no_convolution_has_a_bias():
    assert not [w.name for w in resnet(16, **TINY).weights if "bias" in w.name]


def test_the_epsilon_is_resnets_own_unless_it_is_left_to_the_normalization():
    def epsilons(**arguments):
        model = resnet(16, norm=BatchNorm(epsilon=0.5), **TINY, **arguments)
        return {layer.epsilon for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}

    assert epsilons() == {1.001e-5}
    assert epsilons(epsilon=1e-4) == {1e-4}
    assert epsilons(epsilon=None) == {0.5}


def test_the_image_is_normalized_to_minus_one_and_one_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = resnet(16, **TINY)
    normalized = keras.Model(model.input, model.get_layer("normalize").output)
    colors = np.array([[[[0.0, 127.5, 255.0]]]], "float32")
    np.testing.assert_allclose(normalized(colors), [[[[-1.0, 0.0, 1.0]]]], atol=1e-6)  # float32, not bfloat16's 4e-3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stem": "9x9"}, "stem must be one of deep, deep_narrow, 7x7, not '9x9'"),
        ({"variant": "fat"}, "variant must be one of std, v1.5, slim, beta, not 'fat'"),
        ({"preprocessing": "gray"}, "preprocessing must be one of tf, torch, caffe, none, not 'gray'"),
        ({"blocks": (3, 4, 6)}, r"blocks must be four counts of at least 1, not \(3, 4, 6\)"),
        ({"blocks": (1, 1, 1, 0)}, "at least 1"),
        ({"multi_grid": (1, 2)}, r"multi_grid \(1, 2\) is too short for the 3 blocks"),
    ],
)
def test_wrong_arguments_are_refused_with_the_right_ones(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet(16, **arguments)
