"""Self-attention over all pixels, the context of chapter 4's first baseline (Table 4.1, Table 4.4)."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import attend_pixels
from caa.pixels import MAP_BYTES
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels, check_whole_numbers
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    deserialize_norm,
    flatten_pixels,
    serialize_norm,
    unflatten_pixels,
)
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class PixelAttention(CompositeLayer):
    """Softmax attention of every pixel to every pixel, without a scale: [N, h, w, C] -> [N, h, w, filters].

    Query, key and value are 1×1 convolutions with a bias. The map is never held as a whole where it would take more
    than `map_bytes` per image (see `caa.attend_pixels`).
    """

    def __init__(self, filters: int, key_filters: int = 64, *, map_bytes: int = MAP_BYTES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters, key_filters=key_filters)
        check_whole_numbers(1, 2**63 - 1, map_bytes=map_bytes)
        self.filters, self.key_filters, self.map_bytes = filters, key_filters, map_bytes
        self.query = keras.layers.Conv2D(key_filters, 1, dtype=self.dtype_policy, name="query")
        self.key = keras.layers.Conv2D(key_filters, 1, dtype=self.dtype_policy, name="key")
        self.value = keras.layers.Conv2D(filters, 1, dtype=self.dtype_policy, name="value")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        query, key, value = (flatten_pixels(f(features)) for f in (self.query, self.key, self.value))
        return unflatten_pixels(attend_pixels(query, key, value, map_bytes=self.map_bytes), features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.key_filters,
            "map_bytes": self.map_bytes,
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class SelfAttentionHead(CompositeLayer):
    """The self-attention head: c5 -> 3×3 convolution -> x + attention(x), "features" [N, h, w, filters].

    Args:
        filters: channels of the 3×3 convolution, of the value and of the features.
        key_filters: channels of query and key.
        map_bytes: bound of the attention map held per image, in bytes.
        norm: factory of the normalization layers.

    Raises:
        ValueError: an argument below 1.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}

    def __init__(
        self,
        filters: int = 512,
        key_filters: int = 64,
        *,
        map_bytes: int = MAP_BYTES,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        self.filters, self.make_norm = filters, deserialize_norm(norm)
        self.reduction = ConvNormAct(filters, 3, norm=self.make_norm, dtype=self.dtype_policy, name="reduction")
        self.attention = PixelAttention(
            filters, key_filters, map_bytes=map_bytes, dtype=self.dtype_policy, name="attention"
        )

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        features = self.reduction(pyramid["c5"], training=training)
        return {"features": tf.add(features, self.attention(features))}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.attention.key_filters,
            "map_bytes": self.attention.map_bytes,
            "norm": serialize_norm(self.make_norm),
        }
