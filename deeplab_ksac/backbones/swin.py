"""Swin Transformer (Liu et al., ICCV 2021): attention in shifted windows, in four stages (Tables 4.1–4.7)."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import (
    MOST_CHANNELS,
    MOST_REPEATS,
    check_lists_of_whole_numbers,
    check_numbers,
    check_whole_numbers,
)
from deeplab_ksac.backbones.attention_windows import resize_position_bias
from deeplab_ksac.backbones.contract import image_input, require_strided
from deeplab_ksac.backbones.convolutions import patch_conv, require_edge
from deeplab_ksac.backbones.weights import TimmWeights, affine_tensors, kernel_tensors
from deeplab_ksac.backbones.window_attention import EPSILON, PatchMerging, SwinBlock
from deeplab_ksac.bands import RGB, Bands

LARGEST_WINDOW = 64  # pixels along a side: its attention map has the fourth power


def swin(
    output_stride: int = 32,
    *,
    width: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    window_size: int | Sequence[int] = 7,
    drop_path_rate: float = 0.3,
    edge: str = "pad",
    preprocessing: str = "torch",
    bands: Bands = RGB,
) -> keras.Model:
    """Swin: image [N, H, W, 3], RGB 0…255 -> {"c2" … "c5"} of 1, 2, 4, 8 · width channels.

    c2 … c5 are the stages' last sums, not normalized, at ratios 4, 8, 16, 32 to the image. A window that reaches
    over a map's border has fewer pixels.

    Args:
        output_stride: ratio of the image's size to c5's: 32, since windows cannot be dilated.
        width: channels of the first stage.
        depths: blocks of each of the four stages; every other one has shifted windows.
        heads: of the attention in each stage.
        window_size: side of the windows in pixels of the stage; one number, or four.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0 at the first.
        edge: what becomes of an image's last pixels that fill no 4 × 4 patch: "pad" completes them by zeros, "cut"
            leaves them out, as timm does, with maps of ⌊H/4⌋ … pixels.
        preprocessing: a key of `contract.PREPROCESSINGS`; the default is that of the published weights.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride, stages that are not four, an unknown edge or preprocessing.
    """
    require_strided(output_stride, "swin")
    require_edge(edge)
    sides = tuple(window_size) if isinstance(window_size, tuple | list) else (window_size,) * 4
    if not len(depths) == len(heads) == len(sides) == 4:
        raise ValueError(f"depths {depths}, heads {heads} and window sizes {sides} must be of four stages")
    check_whole_numbers(1, MOST_CHANNELS // 32, width=width)
    check_lists_of_whole_numbers(1, MOST_REPEATS, depths=depths)
    check_lists_of_whole_numbers(1, MOST_CHANNELS, heads=heads)
    check_lists_of_whole_numbers(0, LARGEST_WINDOW, window_size=sides)
    check_numbers("[0, 1)", drop_path_rate=drop_path_rate)
    image, x = image_input(preprocessing, bands)
    x = patch_conv(x, width, 4, "patch_embed.proj", edge)
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="patch_embed.norm")(x)
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    pyramid = {}
    for stage, (depth, stage_heads, side) in enumerate(zip(depths, heads, sides, strict=True)):
        if stage:
            x = PatchMerging(name=f"layers.{stage}.downsample")(x)
        for index in range(depth):
            shift = side // 2 if index % 2 else 0
            name = f"layers.{stage}.blocks.{index}"
            x = SwinBlock(stage_heads, side, shift=shift, drop_path_rate=next(rates), name=name)(x)
        pyramid[f"c{stage + 2}"] = x
    return keras.Model(image, pyramid, name="swin")


SWINS = {
    "swin_tiny": functools.partial(swin),
    "swin_small": functools.partial(swin, depths=(2, 2, 18, 2)),
    "swin_base": functools.partial(swin, width=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32)),
    "swin_large": functools.partial(swin, width=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48)),
}


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """Where each tensor of timm's `swin_*` goes: (name, variable, layout); layers are named as timm's modules.

    Tables of relative position bias for another window are resized as timm does it.
    """
    tensors = []
    for layer in model.layers:
        if isinstance(layer, SwinBlock):
            tensors += _block_tensors(layer)
        elif isinstance(layer, PatchMerging):
            tensors += affine_tensors(layer.norm, f"{layer.name}.norm")
            tensors.append((f"{layer.name}.reduction.weight", layer.reduction.kernel, "dense"))
        elif layer.name == "patch_embed.proj":
            tensors += kernel_tensors(layer, layer.name, "conv")
        elif layer.name == "patch_embed.norm":
            tensors += affine_tensors(layer, layer.name)
    return tensors


def _block_tensors(block):
    """The tensors of one block of timm's."""
    attention, name = block.attention, block.name
    resized = functools.partial(resize_position_bias, window=attention.window_size)
    return [
        *affine_tensors(block.attention_norm, f"{name}.norm1"),
        (f"{name}.attn.relative_position_bias_table", attention.position_bias, resized),
        *kernel_tensors(attention.qkv, f"{name}.attn.qkv", "dense"),
        *kernel_tensors(attention.projection, f"{name}.attn.proj", "dense"),
        *affine_tensors(block.dense_norm, f"{name}.norm2"),
        *kernel_tensors(block.expand, f"{name}.mlp.fc1", "dense"),
        *kernel_tensors(block.reduce, f"{name}.mlp.fc2", "dense"),
    ]


TIMM = TimmWeights(
    timm_tensors,
    {"preprocessing": "torch"},
    # the classifier and its normalization, tables that follow from the window
    ignored=("norm.", "head.", ".relative_position_index", ".attn_mask"),
)
