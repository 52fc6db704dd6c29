"""ResNet made dense by atrous convolution: DeepLab's stems, stride placements and multi-grid."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import (
    LARGEST_RATE,
    MOST_CHANNELS,
    MOST_REPEATS,
    check_lists_of_whole_numbers,
    check_whole_numbers,
)
from deeplab_ksac.backbones.contract import image_input, require_output_stride
from deeplab_ksac.backbones.convolutions import conv_norm, relu
from deeplab_ksac.backbones.keras_weights import KerasWeights
from deeplab_ksac.backbones.stride_placement import VARIANTS, Block, StridePlacement, plan_blocks
from deeplab_ksac.backbones.weights import TimmFile, TimmWeights, norm_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.layers.norm import NormFactory

# name -> the 3×3 convolutions' channels in units of `width`: DeepLab's stem, and that of ResNet-C ("resnet50c")
STEMS = {"deep": (1, 1, 2), "deep_narrow": (1 / 2, 1 / 2, 1), "7x7": ()}


def stem_layers(x: tf.Tensor, stem: str, width: int, norm: NormFactory) -> tf.Tensor:
    """The image to a quarter of its size: [N, H, W, 3] -> [N, H/4, W/4, width or, with the deep stem, 2 · width]."""
    if stem == "7x7":
        x = relu(conv_norm(x, width, 7, "stem1", norm=norm, stride=2), "stem1")
    for number, factor in enumerate(STEMS[stem], start=1):
        name, stride = f"stem{number}", 2 if number == 1 else 1
        x = relu(conv_norm(x, int(factor * width), 3, name, norm=norm, stride=stride), name)
    x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # after a ReLU zeros never win the maximum
    return keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)


def shortcut(
    x: tf.Tensor, filters: int, block: Block, placement: StridePlacement, name: str, norm: NormFactory
) -> tf.Tensor:
    """The residual path: x itself where shapes allow, else strided and projected to `filters` channels."""
    stride = block.stride
    if stride > 1 and placement.pooled:
        x, stride = keras.layers.AveragePooling2D(2, stride, "same", name=f"{name}_shortcut_pool")(x), 1
    if x.shape[-1] != filters or (stride > 1 and not placement.last):
        return conv_norm(x, filters, 1, f"{name}_shortcut", norm=norm, stride=stride)
    if stride > 1:
        return keras.layers.MaxPooling2D(1, stride, name=f"{name}_shortcut_pool")(x)
    return x


def bottleneck(
    x: tf.Tensor, width: int, block: Block, placement: StridePlacement, name: str, norm: NormFactory
) -> tf.Tensor:
    """1×1, 3×3, 1×1 convolution beside a shortcut: [N, h, w, C] -> [N, h/stride, w/stride, 4 · width]."""
    first, second = (block.stride, 1) if placement.conv == 1 else (1, block.stride)
    y = relu(conv_norm(x, width, 1, f"{name}_1", norm=norm, stride=first), f"{name}_1")
    y = relu(conv_norm(y, width, 3, f"{name}_2", norm=norm, stride=second, rate=block.rate), f"{name}_2")
    y = conv_norm(y, 4 * width, 1, f"{name}_3", norm=norm)
    y = keras.layers.Add(name=f"{name}_add")([shortcut(x, 4 * width, block, placement, name, norm), y])
    return relu(y, name)


def _require_arguments(output_stride, stem, variant, blocks, multi_grid, width):
    """Raises ValueError for wrong arguments of `resnet`."""
    require_output_stride(output_stride)
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, not {stem!r}")
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
    if len(blocks) != 4 or min(blocks) < 1:
        raise ValueError(f"blocks must be four counts of at least 1, not {tuple(blocks)}")
    if len(multi_grid) < blocks[-1]:
        raise ValueError(f"multi_grid {tuple(multi_grid)} is too short for the {blocks[-1]} blocks of the last stage")
    check_lists_of_whole_numbers(1, MOST_REPEATS, blocks=blocks)
    check_lists_of_whole_numbers(1, LARGEST_RATE, multi_grid=multi_grid)
    check_whole_numbers(1, MOST_CHANNELS // 32, width=width)


def resnet(
    output_stride: int = 16,
    *,
    norm: NormFactory = BatchNorm(),
    blocks: Sequence[int] = (3, 4, 6, 3),
    width: int = 64,
    stem: str = "deep",
    variant: str = "std",
    multi_grid: Sequence[int] = (1, 2, 4),
    epsilon: float | None = 1.001e-5,
    preprocessing: str = "tf",
    bands: Bands = RGB,
) -> keras.Model:
    """ResNet of bottlenecks: image [N, H, W, 3], RGB 0…255 -> {"c2" … "c5"} of 4, 8, 16, 32 · width channels.

    c2, c3, c4 are what enters the next stride (the end of their stage; with the variants that stride at a stage's end,
    the input of that block), at ratios 4, 8, 16 to the image or `output_stride`, if that is smaller.

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        norm: factory of the normalization layers.
        blocks: bottlenecks in each of the four stages; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101.
        width: channels of the first bottlenecks, 64 in the papers.
        stem: "deep" (3×3 convolutions of width, width, 2 · width channels), "deep_narrow" (half of that) or "7x7".
        variant: a key of VARIANTS: where strides are. "std" in chapters 2 and 3, "slim" in chapter 4.
        multi_grid: factors of the atrous rates of the last stage's blocks; a shorter stage takes the first ones.
        epsilon: of the normalization, part of the architecture (its published weights go with it); None takes norm's.
        preprocessing: of the image, a key of `contract.PREPROCESSINGS`.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: an unknown stem, variant, preprocessing or output stride, or too few stages, blocks or factors.
    """
    _require_arguments(output_stride, stem, variant, blocks, multi_grid, width)
    make_norm = norm if epsilon is None else functools.partial(norm, epsilon=epsilon)
    placement = VARIANTS[variant]
    image, x = image_input(preprocessing, bands)
    x = stem_layers(x, stem, width, make_norm)
    pyramid = {}
    for stage_plan in plan_blocks(blocks, output_stride, placement, multi_grid):
        for number, block in enumerate(stage_plan, start=1):
            if placement.last and block.striding:
                pyramid[f"c{block.stage}"] = x
            name, bottleneck_width = f"stage{block.stage}_block{number}", width * 2 ** (block.stage - 2)
            x = bottleneck(x, bottleneck_width, block, placement, name, make_norm)
        pyramid.setdefault(f"c{block.stage}", x)
    return keras.Model(image, pyramid, name=f"resnet{3 * sum(blocks) + 2}")


resnet50 = functools.partial(resnet, blocks=(3, 4, 6, 3))
resnet101 = functools.partial(resnet, blocks=(3, 4, 23, 3))


STAGE_LAYER = re.compile(r"stage(\d)_block(\d+)_(1|2|3|shortcut)_(conv|norm)")
# layer -> timm's names of its tensors; of a deep stem the last normalization is "bn1", as that of a 7×7 stem
DEEP_STEM = {"stem1_conv": "conv1.0", "stem1_norm": "conv1.1", "stem2_conv": "conv1.3", "stem2_norm": "conv1.4"}
DEEP_STEM |= {"stem3_conv": "conv1.6", "stem3_norm": "bn1"}
PLAIN_STEM = {"stem1_conv": "conv1", "stem1_norm": "bn1"}


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """timm's names of a ResNet's tensors: [(name, variable, layout)]."""
    layers = {layer.name: layer for layer in model.layers}
    names = dict(DEEP_STEM if "stem3_conv" in layers else PLAIN_STEM)
    for match in filter(None, map(STAGE_LAYER.fullmatch, layers)):
        stage, block, part, kind = match.groups()
        within = f"{'conv' if kind == 'conv' else 'bn'}{part}"
        if part == "shortcut":
            within = f"downsample.{0 if kind == 'conv' else 1}"
        names[match.string] = f"layer{int(stage) - 1}.{int(block) - 1}.{within}"
    tensors = []
    for layer, name in names.items():
        conv = layer.endswith("conv")
        tensors += [(f"{name}.weight", layers[layer].kernel, "conv")] if conv else norm_tensors(layers[layer], name)
    return tensors


def timm_arguments(file: TimmFile) -> dict[str, Any]:
    """What timm's ResNets are: strides on the 3×3 convolutions, one of three stems by the file's tensors."""
    stem = "7x7" if "conv1.weight" in file.shapes else "deep"
    if file.shapes.get("conv1.0.weight", [64])[0] == 32:
        stem = "deep_narrow"
    return {"preprocessing": "torch", "epsilon": 1e-5, "variant": "v1.5", "stem": stem}


TIMM = TimmWeights(timm_tensors, timm_arguments)

KERAS_LAYER = re.compile(r"conv(\d)(?:_block(\d+)_(\d))?_(conv|bn)")


def _from_keras(network, model):
    """Keras' ResNets have biases before the normalization, which its mean takes up, and take BGR, as Caffe's."""
    biases, pairs = {}, []
    for match in filter(None, (KERAS_LAYER.fullmatch(layer.name) for layer in network.layers)):
        stage, block, part, kind = match.groups()
        part = "shortcut" if part == "0" else part
        name = f"stage{stage}_block{block}_{part}" if block else "stem1"
        values = network.get_layer(match.string).get_weights()
        if kind == "conv":
            kernel, biases[name] = values
            kernel = kernel if block else kernel[:, :, ::-1]
            pairs.append((model.get_layer(f"{name}_conv"), [kernel]))
        else:
            gamma, beta, mean, variance = values
            pairs.append((model.get_layer(f"{name}_norm"), [gamma, beta, mean - biases[name], variance]))
    return pairs


def keras_weights(network: Callable[..., keras.Model]) -> KerasWeights:
    """The `KerasWeights` of a network of `keras.applications`."""
    return KerasWeights(
        lambda weights, arguments: network(include_top=False, weights=weights),
        _from_keras,
        {"preprocessing": "caffe", "epsilon": 1.001e-5, "variant": "std", "stem": "7x7"},
    )
