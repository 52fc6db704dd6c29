"""ConvNeXt (Liu et al., CVPR 2022): depthwise 7×7 kernels and dense layers, in four stages (Tables 4.6, 4.7).

`keras.applications.ConvNeXt*` has the same arithmetic, but offers no stochastic depth, its layers' names change from
model to model, a saved model is not loaded without its private classes, and its maps lose the last pixels of images
whose sides are no multiple of 32.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import MOST_CHANNELS, MOST_REPEATS, check_lists_of_whole_numbers, check_numbers
from deeplab_ksac.backbones.contract import image_input, require_strided
from deeplab_ksac.backbones.convolutions import patch_conv, require_edge
from deeplab_ksac.backbones.keras_weights import KerasWeights
from deeplab_ksac.backbones.weights import TimmWeights, affine_tensors, kernel_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.layers import AtrousDepthwiseConv2D

EPSILON = 1e-6  # of the layer normalization


def _small():
    """A kernel's initial values; one initializer for two kernels would give them the same."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


@keras.saving.register_keras_serializable("deeplab_ksac")
class ConvNeXtBlock(CompositeLayer):
    """Depthwise 7×7, normalization, two dense layers, scaled by channel and added: [N, h, w, C] -> [N, h, w, C].

    Args:
        drop_path_rate: probability that an image skips the block while training.
        expansion: channels between the two dense layers, as a multiple of C.
        scale: initial factor of every channel.
    """

    def __init__(self, drop_path_rate: float = 0.0, *, expansion: int = 4, scale: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate, self.expansion, self.scale = drop_path_rate, expansion, scale
        policy = self.dtype_policy
        self.depthwise = AtrousDepthwiseConv2D(
            7, padding="same", depthwise_initializer=_small(), dtype=policy, name="depthwise"
        )
        self.norm = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy, name="norm")
        self.drop_path = DropPath(drop_path_rate, dtype=policy, name="drop_path")

    def build(self, input_shape: tf.TensorShape) -> None:
        channels, dense = input_shape[-1], functools.partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.expand = dense(self.expansion * channels, kernel_initializer=_small(), name="expand")
        self.reduce = dense(channels, kernel_initializer=_small(), name="reduce")
        self.gamma = self.add_weight(
            name="gamma", shape=[channels], initializer=keras.initializers.Constant(self.scale)
        )
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        hidden = self.expand(self.norm(self.depthwise(features, training=training)))
        branch = self.gamma * self.reduce(tf.nn.gelu(hidden, approximate=False))
        return features + self.drop_path(branch, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "drop_path_rate": self.drop_path_rate,
            "expansion": self.expansion,
            "scale": self.scale,
        }


def convnext(
    output_stride: int = 32,
    *,
    widths: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (3, 3, 9, 3),
    drop_path_rate: float = 0.4,
    scale: float = 1e-6,
    edge: str = "pad",
    preprocessing: str = "torch",
    bands: Bands = RGB,
) -> keras.Model:
    """ConvNeXt: image [N, H, W, 3], RGB 0…255 -> {"c2" … "c5"} of `widths` channels.

    c2 … c5 are the stages' last sums, not normalized, at ratios 4, 8, 16, 32 to the image.

    Args:
        output_stride: ratio of the image's size to c5's: 32; joint pyramid upsampling makes it dense (Sect. 4.4.2.9).
        widths: channels of the four stages.
        depths: blocks of the four stages.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0 at the first.
        scale: initial factor of each block's channels.
        edge: what becomes of the last pixels that fill no 4 × 4 patch, or no 2 × 2 of the next stage: "pad" completes
            them by zeros, "cut" leaves them out, as timm does, with maps of ⌊H/4⌋ … pixels.
        preprocessing: a key of `contract.PREPROCESSINGS`; the default is that of the published weights.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride, stages that are not four, an unknown edge or preprocessing.
    """
    require_strided(output_stride, "convnext")
    require_edge(edge)
    if not len(widths) == len(depths) == 4:
        raise ValueError(f"widths {widths} and depths {depths} must be of four stages")
    check_lists_of_whole_numbers(1, MOST_CHANNELS // 4, widths=widths)
    check_lists_of_whole_numbers(1, MOST_REPEATS, depths=depths)
    check_numbers("[0, 1)", drop_path_rate=drop_path_rate)
    image, x = image_input(preprocessing, bands)
    x = patch_conv(x, widths[0], 4, "stem.0", edge)
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="stem.1")(x)
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    pyramid = {}
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"stages.{stage}.downsample.0")(x)
            x = patch_conv(x, width, 2, f"stages.{stage}.downsample.1", edge)
        for index in range(depth):
            x = ConvNeXtBlock(next(rates), scale=scale, name=f"stages.{stage}.blocks.{index}")(x)
        pyramid[f"c{stage + 2}"] = x
    return keras.Model(image, pyramid, name="convnext")


CONVNEXTS = {
    "convnext_tiny": functools.partial(convnext),
    "convnext_small": functools.partial(convnext, depths=(3, 3, 27, 3), drop_path_rate=0.3),
    "convnext_base": functools.partial(convnext, widths=(128, 256, 512, 1024), depths=(3, 3, 27, 3)),
    "convnext_large": functools.partial(convnext, widths=(192, 384, 768, 1536), depths=(3, 3, 27, 3)),
    "convnext_xlarge": functools.partial(convnext, widths=(256, 512, 1024, 2048), depths=(3, 3, 27, 3)),
}


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """Where each tensor of timm's `convnext_*` goes: (name, variable, layout); layers are named as timm's modules."""
    tensors = []
    for layer in model.layers:
        name = layer.name
        if isinstance(layer, ConvNeXtBlock):
            tensors += [
                *kernel_tensors(layer.depthwise, f"{name}.conv_dw", "depthwise"),
                *affine_tensors(layer.norm, f"{name}.norm"),
                *kernel_tensors(layer.expand, f"{name}.mlp.fc1", "dense"),
                *kernel_tensors(layer.reduce, f"{name}.mlp.fc2", "dense"),
                (f"{name}.gamma", layer.gamma, "same"),
            ]
        elif name == "stem.0" or name.endswith(".downsample.1"):
            tensors += kernel_tensors(layer, name, "conv")
        elif name == "stem.1" or name.endswith(".downsample.0"):
            tensors += affine_tensors(layer, name)
    return tensors


TIMM = TimmWeights(timm_tensors, {"preprocessing": "torch"})


def _from_keras(network, model):
    """The weights of `keras.applications.ConvNeXt*` for our layers; its last normalization is the classifier's."""
    pairs = []
    for layer in model.layers:
        name, prefix = layer.name.split("."), network.name
        if isinstance(layer, ConvNeXtBlock):
            pairs.append((layer, _block_from_keras(network, f"{prefix}_stage_{name[1]}_block_{name[3]}", layer)))
        elif name[0] == "stem" and layer.weights:
            pairs.append((layer, network.get_layer(f"{prefix}_stem").layers[int(name[1])].get_weights()))
        elif name[0] == "stages" and layer.weights:
            downsampling = network.get_layer(f"{prefix}_downsampling_block_{int(name[1]) - 1}")
            pairs.append((layer, downsampling.layers[int(name[3])].get_weights()))
    return pairs


def _block_from_keras(network, prefix, block):
    """The weights of one of Keras' blocks in the order of ours; its depthwise kernel is a grouped convolution's."""
    parts = {
        "depthwise_conv": [block.depthwise.depthwise_kernel, block.depthwise.bias],
        "layernorm": [block.norm.gamma, block.norm.beta],
        "pointwise_conv_1": [block.expand.kernel, block.expand.bias],
        "pointwise_conv_2": [block.reduce.kernel, block.reduce.bias],
        "layer_scale": [block.gamma],
    }
    values = {}
    for part, variables in parts.items():
        for variable, value in zip(variables, network.get_layer(f"{prefix}_{part}").get_weights(), strict=True):
            values[variable.ref()] = value.transpose(0, 1, 3, 2) if value.ndim == 4 else value
    return [values[variable.ref()] for variable in block.weights]


def keras_weights(network: Callable[..., keras.Model]) -> KerasWeights:
    """The `KerasWeights` of a network of `keras.applications`."""
    return KerasWeights(
        lambda weights, arguments: network(include_top=False, weights=weights),
        _from_keras,
        {"preprocessing": "torch"},
    )
