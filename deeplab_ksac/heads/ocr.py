"""OCR: a pixel sees the representations of the object regions (Yuan et al., ECCV 2020)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    at_least_float32,
    deserialize_norm,
    flatten_pixels,
    resize_bilinear,
    serialize_norm,
    spatial_size,
    unflatten_pixels,
)
from deeplab_ksac.layers.arguments import require_levels
from deeplab_ksac.layers.norm import Norm


def gather_regions(pixels: tf.Tensor, region_logits: tf.Tensor) -> tf.Tensor:
    """One feature per class, the mean of all pixels weighted by the class's softmax over the pixels.

    pixels [N, P, C], region_logits [N, P, K] -> [N, K, C].
    """
    shares = tf.nn.softmax(at_least_float32(region_logits), axis=1)
    return tf.matmul(tf.cast(shares, pixels.dtype), pixels, transpose_a=True)


def join_levels(pyramid: Mapping[str, tf.Tensor], levels: Sequence[str]) -> tf.Tensor:
    """The levels side by side at the size of the first: [N, h, w, sum of the channels]."""
    first, *others = (pyramid[level] for level in levels)
    size = spatial_size(first)
    return tf.concat([first, *(resize_bilinear(level, size) for level in others)], axis=-1) if others else first


@keras.saving.register_keras_serializable("deeplab_ksac")
class RegionAttention(CompositeLayer):
    """Every pixel attends to the K regions: (pixels [N, P, C], regions [N, K, C]) -> [N, P, filters].

    Query and key are two 1×1 convolutions each, the value one, with normalization and ReLU; the softmax over the
    regions is scaled by 1 / √key_filters; a last 1×1 convolution follows.
    """

    def __init__(self, filters: int, key_filters: int, *, norm: Norm = BatchNorm(), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters, key_filters=key_filters)
        self.filters, self.key_filters, self.make_norm = filters, key_filters, deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.query, self.key = (
            [ConvNormAct(key_filters, 1, **shared, name=f"{name}_{index}") for index in range(2)]
            for name in ("query", "key")
        )
        self.value = [ConvNormAct(key_filters, 1, **shared, name="value")]
        self.output_transform = [ConvNormAct(filters, 1, **shared, name="output")]

    def call(self, pixels: tf.Tensor, regions: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        def transform(convs, x):
            x = x[:, tf.newaxis]  # a map one pixel high
            for conv in convs:
                x = conv(x, training=training)
            return x[:, 0]

        query = transform(self.query, pixels) * self.key_filters**-0.5
        energy = at_least_float32(tf.matmul(query, transform(self.key, regions), transpose_b=True))
        attended = tf.matmul(tf.cast(tf.nn.softmax(energy), pixels.dtype), transform(self.value, regions))
        return transform(self.output_transform, attended)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.key_filters,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class OCRHead(CompositeLayer):
    """Object-contextual representations.

    pyramid -> {"features": [N, h, w, 2 · filters], "coarse_logits": [N, h', w', K]}. A coarse segmentation (3×3
    convolution, classifier) with a loss of its own says softly which pixels belong to which class; the regions' mean
    features are what the pixels then attend to. The context and the pixels' own features are the result.

    Args:
        num_classes: K.
        filters: channels of the pixels' features and of the context.
        key_filters: channels of query, key and value.
        levels: stages that the pixels' features are made of, joined at the size of the first. c5 suits a dilated
            backbone, all four HRNet.
        coarse_levels: stages that the coarse segmentation is made of; c4 suits a dilated backbone, all four HRNet.
        norm: factory of the normalization layers.

    Raises:
        ValueError: a number below 1, or no levels.
    """

    bottleneck = {"filters": 512, "kernel_size": 1}

    def __init__(
        self,
        num_classes: int,
        filters: int = 512,
        *,
        key_filters: int = 256,
        levels: Sequence[str] = ("c5",),
        coarse_levels: Sequence[str] = ("c4",),
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(num_classes=num_classes, filters=filters)
        if not levels or not coarse_levels:
            raise ValueError(f"levels and coarse_levels must name stages, not {levels!r} and {coarse_levels!r}")
        require_levels(levels=tuple(levels), coarse_levels=tuple(coarse_levels))
        self.num_classes, self.filters = num_classes, filters
        self.levels, self.coarse_levels = tuple(levels), tuple(coarse_levels)
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.coarse = ConvNormAct(filters, 3, **shared, name="coarse")
        self.coarse_classifier = keras.layers.Conv2D(num_classes, 1, dtype=self.dtype_policy, name="coarse_classifier")
        self.reduction = ConvNormAct(filters, 3, **shared, name="reduction")
        self.attention = RegionAttention(filters, key_filters, **shared, name="attention")

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        coarse = self.coarse(join_levels(pyramid, self.coarse_levels), training=training)
        coarse_logits = self.coarse_classifier(coarse)
        features = self.reduction(join_levels(pyramid, self.levels), training=training)
        pixels = flatten_pixels(features)
        regions = gather_regions(pixels, flatten_pixels(resize_bilinear(coarse_logits, spatial_size(features))))
        context = unflatten_pixels(self.attention(pixels, regions, training=training), features)
        return {"features": tf.concat([context, features], axis=-1), "coarse_logits": coarse_logits}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": self.filters,
            "key_filters": self.attention.key_filters,
            "levels": self.levels,
            "coarse_levels": self.coarse_levels,
            "norm": serialize_norm(self.make_norm),
        }
