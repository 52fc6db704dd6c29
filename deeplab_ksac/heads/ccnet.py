"""CCNet: criss-cross attention, twice (Huang et al., ICCV 2019)."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels, check_repeats
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    at_least_float32,
    deserialize_norm,
    serialize_norm,
)
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.tensor_ops.maps import swap_axes


def attend_criss_cross(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Every pixel attends to its column and its row under one softmax, itself counted once, without a scale.

    query, key [N, h, w, D], value [N, h, w, C] -> [N, h, w, C].
    """
    height = tf.shape(query)[1]
    column = at_least_float32(tf.matmul(swap_axes(query), swap_axes(key), transpose_b=True))  # [N, w, h, h]
    row = at_least_float32(tf.matmul(query, key, transpose_b=True))  # [N, h, w, w]
    lines = tf.range(height)
    itself = lines[:, tf.newaxis] == lines  # ONNX and TensorFlow Lite have no tf.eye of a computed size
    column = swap_axes(tf.where(itself, column.dtype.min, column))  # [N, h, w, h]
    weights = tf.cast(tf.nn.softmax(tf.concat([column, row], axis=-1)), value.dtype)
    along_column = tf.matmul(swap_axes(weights[..., :height]), swap_axes(value))
    return swap_axes(along_column) + tf.matmul(weights[..., height:], value)


@keras.saving.register_keras_serializable("deeplab_ksac")
class CrissCrossAttention(CompositeLayer):
    """Criss-cross attention with its shortcut: x + attention(x), [N, h, w, C] -> [N, h, w, C].

    Query, key and value are 1×1 convolutions with a bias.
    """

    def __init__(self, key_filters: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(key_filters=key_filters)
        self.key_filters = key_filters
        self.query = keras.layers.Conv2D(key_filters, 1, dtype=self.dtype_policy, name="query")
        self.key = keras.layers.Conv2D(key_filters, 1, dtype=self.dtype_policy, name="key")

    def build(self, input_shape: tf.TensorShape) -> None:
        self.value = keras.layers.Conv2D(input_shape[-1], 1, dtype=self.dtype_policy, name="value")
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        return features + attend_criss_cross(self.query(features), self.key(features), self.value(features))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "key_filters": self.key_filters}


@keras.saving.register_keras_serializable("deeplab_ksac")
class CCNetHead(CompositeLayer):
    """CCNet: 3×3 convolution, criss-cross attention `recurrence` times with the same weights, 3×3 convolution.

    c5 [N, h, w, C] -> {"features": [N, h, w, C + filters]}, c5 and the context. The attention's result is added to
    its input as in the paper's Eq. 2, without the learned factor of its code.

    Args:
        filters: channels of the convolutions and the value.
        key_filters: channels of query and key.
        recurrence: how often the attention is applied; twice carries information between any two pixels.
        norm: factory of the normalization layers.

    Raises:
        ValueError: an argument below 1 or too large.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}

    def __init__(
        self,
        filters: int = 512,
        key_filters: int = 64,
        *,
        recurrence: int = 2,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_repeats(recurrence=recurrence)
        self.filters, self.recurrence, self.make_norm = filters, recurrence, deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.reduction = ConvNormAct(filters, 3, **shared, name="reduction")
        self.attention = CrissCrossAttention(key_filters, dtype=self.dtype_policy, name="attention")
        self.refinement = ConvNormAct(filters, 3, **shared, name="refinement")

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        context = self.reduction(pyramid["c5"], training=training)
        for _ in range(self.recurrence):
            context = self.attention(context)
        context = self.refinement(context, training=training)
        return {"features": tf.concat([pyramid["c5"], context], axis=-1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.attention.key_filters,
            "recurrence": self.recurrence,
            "norm": serialize_norm(self.make_norm),
        }
