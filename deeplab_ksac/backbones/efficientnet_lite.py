"""EfficientNet-Lite0 … 4: EfficientNet for integer arithmetic, without squeeze-and-excitation and with ReLU6."""

import functools
import math
from typing import Any, NamedTuple

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import WIDEST, check_numbers
from deeplab_ksac.backbones.contract import (
    STAGE_STRIDES,
    image_input,
    require_endpoints,
    require_output_stride,
    require_padding,
)
from deeplab_ksac.backbones.efficientnet import timm_tensors
from deeplab_ksac.backbones.weights import CLASSIFIERS, TimmFile, TimmWeights
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.layers import AtrousConv2D, AtrousDepthwiseConv2D, BatchNorm
from deeplab_ksac.layers.norm import NormFactory

STEM_FILTERS = 32  # of every size


class Stage(NamedTuple):
    """A row of the paper's table, before the size's factors: inverted bottlenecks of which the first strides."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LEVEL_AT = {stride: level for level, stride in STAGE_STRIDES.items()}
UNSCALED = (1, len(STAGES))  # numbers of the stages that have their one block at every depth

# name -> (width, depth): factors of the stages' channels and of their blocks
SIZES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}


def scaled_filters(filters: int, width: float) -> int:
    """Channels times a factor, rounded to a multiple of 8 that is at least 90 % of them."""
    exact = filters * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


def scaled_repeats(number: int, depth: float) -> int:
    """The blocks of stage `number` (1 … 7) at a depth."""
    repeats = STAGES[number - 1].repeats
    return repeats if number in UNSCALED else math.ceil(repeats * depth)


def relu6(x: tf.Tensor, name: str) -> tf.Tensor:
    """min(max(x, 0), 6) as a named layer."""
    return keras.layers.ReLU(6.0, name=name)(x)


def inverted_bottleneck(
    x: tf.Tensor,
    filters: int,
    name: str,
    *,
    norm: NormFactory,
    kernel_size: int,
    expansion: int,
    stride: int,
    rate: int,
    centered: bool,
    drop_path_rate: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Expansion, depthwise convolution, linear projection, beside a shortcut where shapes allow; and what is expanded.

    [N, h, w, C] -> [N, ⌈h/stride⌉, ⌈w/stride⌉, filters], [N, h, w, expansion · C]. Layers are named as in Keras'
    EfficientNet.
    """
    expanded = x
    if expansion > 1:
        expanded = AtrousConv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand_conv")(x)
        expanded = relu6(norm(name=f"{name}_expand_bn")(expanded), f"{name}_expand_activation")
    depthwise = AtrousDepthwiseConv2D(
        kernel_size, stride, "same", dilation_rate=rate, centered=centered, use_bias=False, name=f"{name}_dwconv"
    )
    y = relu6(norm(name=f"{name}_bn")(depthwise(expanded)), f"{name}_activation")
    y = AtrousConv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(y)
    y = norm(name=f"{name}_project_bn")(y)
    if stride == 1 and filters == x.shape[-1]:
        y = DropPath(drop_path_rate, name=f"{name}_drop")(y)
        y = keras.layers.Add(name=f"{name}_add")([y, x])
    return y, expanded


def efficientnet_lite(
    output_stride: int = 16,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    norm: NormFactory = BatchNorm(),
    endpoints: str = "narrow",
    drop_path_rate: float = 0.2,
    padding: str = "same",
    epsilon: float = 1e-3,
    preprocessing: str = "tf",
    bands: Bands = RGB,
) -> keras.Model:
    """EfficientNet-Lite: image [N, H, W, 3], RGB 0…255 -> {"c2", "c3", "c4", "c5"}, of 24, 40, 112, 320 channels for
    Lite0.

    EfficientNet (Tan and Le, ICML 2019) without squeeze-and-excitation, with ReLU6; the stem keeps its 32 channels and
    the first and last stages their one block at every size. c2, c3, c4 are the outputs of the blocks before the
    strides; c5 is that of the last block, without the 1×1 convolution that belongs to the classifier.

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        width: factor of the stages' channels, above 0.
        depth: factor of the stages' blocks, above 0.
        norm: factory of the normalization layers.
        endpoints: "narrow", or "expanded" for the activations that the strided kernels read.
        drop_path_rate: largest probability of a block to be left out for an image in training; it grows linearly
            with depth.
        padding: "same", the authors', or "centered", PyTorch's.
        epsilon: of the normalization: the authors' 1e-3; 1e-5 with weights trained in PyTorch.
        preprocessing: of the image, a key of `contract.PREPROCESSINGS`.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride, padding, preprocessing or kind of endpoints, a factor that is not positive,
            a probability outside of [0, 1).
    """
    require_output_stride(output_stride)
    require_endpoints(endpoints)
    require_padding(padding)
    if not (width > 0 and depth > 0):
        raise ValueError(f"width and depth must be above 0, not {width} and {depth}")
    check_numbers(WIDEST, width=width, depth=depth)
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f"drop_path_rate must lie in [0, 1), not {drop_path_rate}")
    norm, centered = functools.partial(norm, epsilon=epsilon), padding == "centered"
    image, x = image_input(preprocessing, bands)
    x = AtrousConv2D(STEM_FILTERS, 3, 2, "same", centered=centered, use_bias=False, name="stem_conv")(x)
    x = relu6(norm(name="stem_bn")(x), "stem_activation")
    blocks = [
        (stage, f"block{number}{chr(ord('a') + index)}", index == 0 and stage.stride > 1)
        for number, stage in enumerate(STAGES, start=1)
        for index in range(scaled_repeats(number, depth))
    ]
    pyramid, strided, kept = {}, 2, 2  # the stride of x in the strided network, and the one it has here
    for position, (stage, name, striding) in enumerate(blocks):
        removed = striding and kept == output_stride
        y, expanded = inverted_bottleneck(
            x,
            scaled_filters(stage.filters, width),
            name,
            norm=norm,
            kernel_size=stage.kernel_size,
            expansion=stage.expansion,
            stride=2 if striding and not removed else 1,
            rate=strided // kept,
            centered=centered,
            drop_path_rate=drop_path_rate * position / len(blocks),
        )
        if striding:
            if strided in LEVEL_AT:
                pyramid[LEVEL_AT[strided]] = x if endpoints == "narrow" else expanded
            strided, kept = strided * 2, kept * (1 if removed else 2)
        x = y
    return keras.Model(image, {**pyramid, "c5": x}, name="efficientnet_lite")


def timm_arguments(file: TimmFile) -> dict[str, Any]:
    """timm's "tf_" networks are the authors'; those without were trained with PyTorch's padding and epsilon."""
    if file.architecture.startswith("efficientnet"):
        return {"preprocessing": "torch", "padding": "centered", "epsilon": 1e-5}
    return {"preprocessing": "tf", "padding": "same", "epsilon": 1e-3}


TIMM = TimmWeights(timm_tensors, timm_arguments, ignored=(*CLASSIFIERS, "conv_head.", "bn2."))

EFFICIENTNET_LITES = {
    name: functools.partial(efficientnet_lite, width=width, depth=depth) for name, (width, depth) in SIZES.items()
}
