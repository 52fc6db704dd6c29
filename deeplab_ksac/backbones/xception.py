"""Xception-65, DeepLab's aligned one: every stride on a separable convolution, normalization within them."""

import functools
import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import LARGEST_RATE, WIDEST, check_lists_of_whole_numbers, check_numbers, check_repeats
from deeplab_ksac.backbones.contract import image_input, require_output_stride
from deeplab_ksac.backbones.convolutions import conv_norm, relu
from deeplab_ksac.backbones.weights import TimmWeights, norm_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.layers import AtrousDepthwiseConv2D, BatchNorm
from deeplab_ksac.layers.norm import NormFactory

ENTRY = ((128, 128, 128), (256, 256, 256), (728, 728, 728))
MIDDLE = (728, 728, 728)
EXIT = (728, 1024, 1024)
LAST = (1536, 1536, 2048)


def separable(
    x: tf.Tensor, filters: int, name: str, *, norm: NormFactory, stride: int, rate: int, activated: bool
) -> tf.Tensor:
    """Depthwise 3×3, then pointwise 1×1 convolution, each normalized: [N, h, w, C] -> [N, h/stride, w/stride, filters].

    Args:
        activated: whether a ReLU follows each of the two normalizations, or none does.
    """
    padding = "same"
    if stride > 1:
        x, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
    depthwise = AtrousDepthwiseConv2D(
        3, stride, padding, dilation_rate=rate, use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = norm(name=f"{name}_depthwise_norm")(depthwise(x))
    x = relu(x, f"{name}_depthwise") if activated else x
    x = conv_norm(x, filters, 1, f"{name}_pointwise", norm=norm)
    return relu(x, f"{name}_pointwise") if activated else x


def module(
    x: tf.Tensor,
    filters: Sequence[int],
    name: str,
    *,
    norm: NormFactory,
    stride: int = 1,
    rates: Sequence[int] = (1, 1, 1),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Three separable convolutions, a ReLU before each, beside a shortcut; and what enters the third of them."""
    y = x
    for number, (count, rate) in enumerate(zip(filters, rates, strict=True), start=1):
        entering = y = relu(y, f"{name}_{number}")
        own = stride if number == 3 else 1
        y = separable(y, count, f"{name}_{number}", norm=norm, stride=own, rate=rate, activated=False)
    if x.shape[-1] != filters[-1] or stride > 1:
        x = conv_norm(x, filters[-1], 1, f"{name}_shortcut", norm=norm, stride=stride)
    return keras.layers.Add(name=f"{name}_add")([x, y]), entering


def xception65(
    output_stride: int = 16,
    *,
    norm: NormFactory = BatchNorm(),
    width: float = 1.0,
    middle_blocks: int = 16,
    multi_grid: Sequence[int] = (1, 1, 1),
    epsilon: float | None = 1e-3,
    preprocessing: str = "tf",
    bands: Bands = RGB,
) -> keras.Model:
    """Aligned Xception: image [N, H, W, 3], RGB 0…255 -> {"c2", "c3", "c4", "c5"} of 256, 728, 1024, 2048 channels.

    c2, c3, c4 are what enters the next strided convolution, activated, at ratios 4, 8, 16 to the image or
    `output_stride`, if that is smaller. A block whose stride is taken away keeps its rate, later ones have the doubled.

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        norm: factory of the normalization layers.
        width: factor of all channel counts.
        middle_blocks: blocks of the middle flow: 16 in Xception-65, 8 in Xception-41.
        multi_grid: factors of the atrous rates of the last block's three convolutions.
        epsilon: of the normalization; None takes norm's.
        preprocessing: of the image, a key of `contract.PREPROCESSINGS`.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride or preprocessing, no middle block, not three factors.
    """
    require_output_stride(output_stride)
    if middle_blocks < 1:
        raise ValueError(f"middle_blocks must be at least 1, not {middle_blocks}")
    if len(multi_grid) != 3:
        raise ValueError(f"multi_grid must be three factors, not {tuple(multi_grid)}")
    check_numbers(WIDEST, width=width)
    check_repeats(middle_blocks=middle_blocks)
    check_lists_of_whole_numbers(1, LARGEST_RATE, multi_grid=multi_grid)
    if epsilon is not None:
        norm = functools.partial(norm, epsilon=epsilon)
    image, x = image_input(preprocessing, bands)
    x = relu(conv_norm(x, int(32 * width), 3, "stem1", norm=norm, stride=2), "stem1")
    x = relu(conv_norm(x, int(64 * width), 3, "stem2", norm=norm), "stem2")
    pyramid, kept, rate = {}, 2, 1
    for number, filters in enumerate([*ENTRY, *[MIDDLE] * middle_blocks, EXIT], start=1):
        striding = filters != MIDDLE or number == len(ENTRY)
        removed = striding and kept == output_stride
        x, entering = module(
            x,
            [int(count * width) for count in filters],
            f"block{number}",
            norm=norm,
            stride=2 if striding and not removed else 1,
            rates=(rate,) * 3,
        )
        if striding and number > 1:
            pyramid[f"c{len(pyramid) + 2}"] = entering
        rate, kept = rate * (2 if removed else 1), kept * (2 if striding and not removed else 1)
    for index, (count, grid) in enumerate(zip(LAST, multi_grid, strict=True), start=1):
        name = f"block{number + 1}_{index}"
        x = separable(x, int(count * width), name, norm=norm, stride=1, rate=rate * grid, activated=True)
    return keras.Model(image, {**pyramid, "c5": x}, name="xception65")


STEM_LAYER = re.compile(r"stem([12])_(conv|norm)")
BLOCK_LAYER = re.compile(r"block(\d+)_(?:([123])_(depthwise|pointwise)|(shortcut))_(conv|norm)")


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """timm's names of an aligned Xception's tensors: [(name, variable, layout)]."""
    tensors = []
    for layer in model.layers:
        name = _timm_name(layer.name)
        if name is None:
            continue
        if layer.name.endswith("norm"):
            tensors += norm_tensors(layer, name)
        elif "depthwise" in layer.name:
            tensors.append((f"{name}.weight", layer.depthwise_kernel, "depthwise"))
        else:
            tensors.append((f"{name}.weight", layer.kernel, "conv"))
    return tensors


def _timm_name(layer):
    """timm's name of the module that a layer is, None for a layer without weights."""
    stem, block = STEM_LAYER.fullmatch(layer), BLOCK_LAYER.fullmatch(layer)
    if stem:
        return f"stem.{int(stem[1]) - 1}.{'conv' if stem[2] == 'conv' else 'bn'}"
    if not block:
        return None
    number, index, part, shortcut, kind = block.groups()
    kind = "conv" if kind == "conv" else "bn"
    within = f"shortcut.{kind}" if shortcut else f"stack.conv{index}.{kind}_{'dw' if part == 'depthwise' else 'pw'}"
    return f"blocks.{int(number) - 1}.{within}"


TIMM = TimmWeights(timm_tensors, {"preprocessing": "tf", "epsilon": 1e-3})
