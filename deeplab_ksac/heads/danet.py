"""DANet: position attention and channel attention in parallel (Fu et al., CVPR 2019; Fig. 3.1a)."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels, check_kernels
from deeplab_ksac.heads.self_attention import PixelAttention
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    at_least_float32,
    deserialize_norm,
    flatten_pixels,
    serialize_norm,
    unflatten_pixels,
)
from deeplab_ksac.layers.norm import Norm


def attend_channels(features: tf.Tensor) -> tf.Tensor:
    """Every channel attends to all channels: [N, h, w, C] -> [N, h, w, C].

    The weights of channel j are the softmax over i of the scalar products of the maps i and j (the paper's Eq. 3).
    """
    pixels = flatten_pixels(features)
    channels = at_least_float32(tf.transpose(pixels, [0, 2, 1]))  # sums over all pixels leave float16's range
    energy = tf.matmul(channels, channels, transpose_b=True)
    attended = tf.matmul(pixels, tf.cast(tf.nn.softmax(energy), pixels.dtype), transpose_b=True)
    return unflatten_pixels(attended, features)


@keras.saving.register_keras_serializable("deeplab_ksac")
class Rezero(keras.layers.Layer):
    """A learned factor that begins at 0: of the same shape as its input."""

    def build(self, input_shape: tf.TensorShape) -> None:
        self.factor = self.add_weight("factor", shape=[], initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.factor, x.dtype) * x


@keras.saving.register_keras_serializable("deeplab_ksac")
class DANetHead(CompositeLayer):
    """DANet's two branches, each a 3×3 convolution, attention with its shortcut, and a convolution.

    c5 -> {"features": (position, channel), "position_logits", "channel_logits"}: two maps [N, h, w, filters], whose sum
    is what the classifier sees, and the classifications [N, h, w, K] of each branch alone, which have losses of their
    own and show the conflicts of Sect. 3.2.1. Attention is added with a learned factor that begins at 0.

    Differs from the paper's code: channel attention has the softmax of its Eq. 3, not that of the distance to the
    largest product.

    Args:
        num_classes: K of the branches' logits.
        filters: channels of all convolutions.
        key_filters: channels of the position attention's query and key.
        kernel_size: side of the kernel of the convolutions after the attention; 1 is CAR's column "A".
        norm: factory of the normalization layers.

    Raises:
        ValueError: an argument below 1.
    """

    bottleneck = None
    branches = 2

    def __init__(
        self,
        num_classes: int,
        filters: int = 512,
        *,
        key_filters: int = 64,
        kernel_size: int = 3,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(num_classes=num_classes, filters=filters)
        check_kernels(kernel_size=kernel_size)
        self.num_classes, self.filters, self.kernel_size = num_classes, filters, kernel_size
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        names = ("position", "channel")
        self.reductions = {n: ConvNormAct(filters, 3, **shared, name=f"{n}_reduction") for n in names}
        self.factors = {n: Rezero(dtype=self.dtype_policy, name=f"{n}_factor") for n in names}
        self.refinements = {n: ConvNormAct(filters, kernel_size, **shared, name=f"{n}_refinement") for n in names}
        self.classifiers = {
            n: keras.layers.Conv2D(num_classes, 1, dtype=self.dtype_policy, name=f"{n}_classifier") for n in names
        }
        self.position_attention = PixelAttention(
            filters, key_filters, dtype=self.dtype_policy, name="position_attention"
        )

    def call(
        self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None
    ) -> dict[str, tf.Tensor | tuple[tf.Tensor, ...]]:
        refined = {}
        for name, attend in (("position", self.position_attention), ("channel", attend_channels)):
            reduced = self.reductions[name](pyramid["c5"], training=training)
            attended = reduced + self.factors[name](attend(reduced))
            refined[name] = self.refinements[name](attended, training=training)
        logits = {f"{name}_logits": self.classifiers[name](branch) for name, branch in refined.items()}
        return {"features": tuple(refined.values()), **logits}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": self.filters,
            "key_filters": self.position_attention.key_filters,
            "kernel_size": self.kernel_size,
            "norm": serialize_norm(self.make_norm),
        }
