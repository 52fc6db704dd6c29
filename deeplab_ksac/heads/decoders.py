"""From a head's context to the classifier: the second-last convolution, and DeepLabV3+'s low-level fusion."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.dropout import Dropout
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    SeparableConvNormAct,
    deserialize_norm,
    resize_bilinear,
    serialize_norm,
    spatial_size,
)
from deeplab_ksac.layers.arguments import require_levels
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class Bottleneck(CompositeLayer):
    """The second-last convolution: [N, h, w, C] -> [N, h, w, filters]; CAR's column "A" replaces 3×3 by 1×1.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        dropout: share of the values that training sets to zero, in [0, 1).
        norm: factory of the normalization layer.
    """

    def __init__(
        self,
        filters: int = 256,
        kernel_size: int = 1,
        *,
        dropout: float = 0.0,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        self.filters, self.kernel_size, self.rate = filters, kernel_size, dropout
        self.make_norm = deserialize_norm(norm)
        self.conv = ConvNormAct(filters, kernel_size, norm=self.make_norm, dtype=self.dtype_policy, name="conv")
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.dropout(self.conv(features, training=training), training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dropout": self.rate,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class LowLevelDecoder(CompositeLayer):
    """DeepLabV3+'s decoder, column "D" of Table 2.1: features meet the stage at stride 4.

    (features [N, h, w, C], pyramid) -> [N, H/4, W/4, filters]. The stage passes a 1×1 convolution, the features are
    brought to its size, two 3×3 convolutions follow.

    Args:
        filters: channels of the two convolutions.
        low_level_filters: channels that the stage is reduced to.
        level: the stage, a key of the pyramid.
        separable: depthwise-separable 3×3 convolutions, as DeepLabV3+ trains on Xception; the thesis's FLOPs are those
            of plain ones.
        norm: factory of the normalization layers.

    Raises:
        ValueError: a number below 1, an unknown level.
    """

    def __init__(
        self,
        filters: int = 256,
        low_level_filters: int = 48,
        *,
        level: str = "c2",
        separable: bool = False,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters, low_level_filters=low_level_filters)
        require_levels(level=level)
        self.filters, self.low_level_filters = filters, low_level_filters
        self.level, self.separable = level, separable
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        conv = SeparableConvNormAct if separable else ConvNormAct
        self.reduce = ConvNormAct(low_level_filters, 1, **shared, name="reduce")
        self.refine = [conv(filters, 3, **shared, name=f"refine_{index}") for index in range(2)]

    def call(self, features: tf.Tensor, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        low_level = self.reduce(pyramid[self.level], training=training)
        features = tf.concat([resize_bilinear(features, spatial_size(low_level)), low_level], axis=-1)
        for conv in self.refine:
            features = conv(features, training=training)
        return features

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "low_level_filters": self.low_level_filters,
            "level": self.level,
            "separable": self.separable,
            "norm": serialize_norm(self.make_norm),
        }


DECODERS = {"low_level": LowLevelDecoder}
