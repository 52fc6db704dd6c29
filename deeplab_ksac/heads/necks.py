"""Necks: pyramid -> pyramid, between backbone and head."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import LARGEST_RATE, check_channels, check_lists_of_whole_numbers
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    deserialize_norm,
    resize_bilinear,
    serialize_norm,
    spatial_size,
)
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class JointPyramidUpsampling(CompositeLayer):
    """Joint pyramid upsampling (FastFCN): c5 at c3's resolution, for backbones that cannot be dilated.

    A dict with c3, c4 and c5 -> the same dict with c5 of 4 · filters channels and c3's size (output stride 8); the
    other levels stay as they are. Each of c3, c4, c5 passes a 3×3 convolution and is brought to c3's size; one
    separable 3×3 convolution per atrous rate (depthwise, normalization, pointwise, normalization, ReLU) sees all
    three, and the results are concatenated. Any sizes.

    Args:
        filters: channels of every convolution.
        atrous_rates: of the separable convolutions, in pixels at output stride 8.
        norm: factory of the normalization layers.

    Raises:
        ValueError: no rates or a rate below 1.
    """

    def __init__(
        self,
        filters: int = 512,
        atrous_rates: Sequence[int] = (1, 2, 4, 8),
        *,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_lists_of_whole_numbers(1, LARGEST_RATE, atrous_rates=tuple(atrous_rates))
        self.filters, self.atrous_rates = filters, tuple(atrous_rates)
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.laterals = {
            level: ConvNormAct(filters, 3, **shared, name=f"lateral_{level}") for level in ("c3", "c4", "c5")
        }
        self.depthwise = [
            keras.layers.DepthwiseConv2D(
                3,
                padding="same",
                dilation_rate=rate,
                use_bias=False,
                dtype=self.dtype_policy,
                name=f"depthwise_{index}_rate_{rate}",
            )
            for index, rate in enumerate(self.atrous_rates)
        ]
        self.norms = [
            self.make_norm(dtype=self.dtype_policy, name=f"norm_{index}") for index in range(len(self.atrous_rates))
        ]
        self.pointwise = [
            ConvNormAct(filters, 1, **shared, name=f"pointwise_{index}") for index in range(len(self.atrous_rates))
        ]

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        size = spatial_size(pyramid["c3"])
        levels = [lateral(pyramid[level], training=training) for level, lateral in self.laterals.items()]
        joint = tf.concat([levels[0], *(resize_bilinear(level, size) for level in levels[1:])], axis=-1)
        branches = [
            pointwise(norm(depthwise(joint), training=training), training=training)
            for depthwise, norm, pointwise in zip(self.depthwise, self.norms, self.pointwise, strict=True)
        ]
        return {**pyramid, "c5": tf.concat(branches, axis=-1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "norm": serialize_norm(self.make_norm),
        }


NECKS = {"joint_pyramid_upsampling": JointPyramidUpsampling}
