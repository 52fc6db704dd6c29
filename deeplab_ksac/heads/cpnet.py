"""CPNet: a context prior tells the pixels of one's own class from the others (Yu et al., CVPR 2020)."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import MOST_CHANNELS, check_channels, check_kernels, check_lists_of_whole_numbers
from deeplab_ksac.layers import (
    AtrousDepthwiseConv2D,
    BatchNorm,
    ConvNormAct,
    deserialize_norm,
    flatten_pixels,
    resize_bilinear,
    serialize_norm,
    unflatten_pixels,
)
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class Aggregation(CompositeLayer):
    """The aggregation module: the surroundings of a pixel through fully separable convolutions.

    [N, h, w, C] -> [N, h, w, filters]: 3×3 convolution; then depthwise k×1, 1×k and, beside them, depthwise 1×k, k×1;
    their sum, normalized, ReLU.
    """

    def __init__(self, filters: int, kernel_size: int = 11, *, norm: Norm = BatchNorm(), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_kernels(kernel_size=kernel_size)
        self.filters, self.kernel_size, self.make_norm = filters, kernel_size, deserialize_norm(norm)
        self.reduction = ConvNormAct(filters, 3, norm=self.make_norm, dtype=self.dtype_policy, name="reduction")
        self.first = [self._depthwise("first", side) for side in ((kernel_size, 1), (1, kernel_size))]
        self.second = [self._depthwise("second", side) for side in ((1, kernel_size), (kernel_size, 1))]
        self.norm = self.make_norm(dtype=self.dtype_policy, name="norm")

    def _depthwise(self, path, side):
        name = f"{path}_{side[0]}x{side[1]}"
        return AtrousDepthwiseConv2D(side, padding="same", use_bias=False, dtype=self.dtype_policy, name=name)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        reduced = self.reduction(features, training=training)
        first, second = (
            outer(inner(reduced, training=training), training=training) for inner, outer in (self.first, self.second)
        )
        return tf.nn.relu(self.norm(first + second, training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class CPNetHead(CompositeLayer):
    """The context prior layer: c5 [N, h, w, C] -> {"features": [N, h, w, C + 2 · filters], "affinity"}.

    A 1×1 convolution predicts, for every pixel, the logit of sharing its class with every position of a grid of
    `prior_size`: "affinity" [N, h, w, *prior_size]. Its sigmoid P gathers the context of the own class, P · X / p, and
    that of the others, (1 − P) · X / p, with X the aggregated features at the grid's p positions; c5 and both contexts,
    each after a 1×1 convolution, are the features.

    The paper's prior has the features' own size and serves no other. Here the grid stays and X is brought to it,
    which is the paper's layer where the sizes agree.

    Args:
        filters: channels of the aggregation and of each context.
        prior_size: height and width of the grid; (65, 65) are the features of a 513×513 crop at output stride 8.
        kernel_size: of the aggregation's separable convolutions.
        norm: factory of the normalization layers.

    Raises:
        ValueError: an argument below 1.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}

    def __init__(
        self,
        filters: int = 512,
        prior_size: tuple[int, int] = (65, 65),
        *,
        kernel_size: int = 11,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_lists_of_whole_numbers(1, prior_size=tuple(prior_size))
        if len(prior_size) != 2:
            raise ValueError(f"prior_size must be a height and a width, not {prior_size!r}")
        if prior_size[0] * prior_size[1] > MOST_CHANNELS:
            raise ValueError(f"prior_size must be of at most {MOST_CHANNELS} positions in all, not {prior_size!r}")
        self.filters, self.prior_size, self.make_norm = filters, tuple(prior_size), deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.aggregation = Aggregation(filters, kernel_size, **shared, name="aggregation")
        self.positions = self.prior_size[0] * self.prior_size[1]
        self.prior = ConvNormAct(self.positions, 1, activation=None, **shared, name="prior")
        self.own = ConvNormAct(filters, 1, **shared, name="own")
        self.others = ConvNormAct(filters, 1, **shared, name="others")

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        aggregated = self.aggregation(pyramid["c5"], training=training)
        logits = self.prior(aggregated, training=training)
        prior = tf.sigmoid(flatten_pixels(logits))
        # Divided in two steps, so that neither the sums nor the shares leave float16's range.
        grid = flatten_pixels(resize_bilinear(aggregated, self.prior_size)) * self.positions**-0.5
        own = tf.matmul(prior, grid) * self.positions**-0.5
        all_positions = tf.reduce_sum(grid, axis=1, keepdims=True) * self.positions**-0.5
        contexts = [
            conv(unflatten_pixels(context, logits), training=training)
            for conv, context in ((self.own, own), (self.others, all_positions - own))
        ]
        shape = tf.shape(logits)
        return {
            "features": tf.concat([pyramid["c5"], *contexts], axis=-1),
            "affinity": tf.ensure_shape(
                tf.reshape(logits, [shape[0], shape[1], shape[2], *self.prior_size]),
                [*logits.shape[:3], *self.prior_size],
            ),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "prior_size": self.prior_size,
            "kernel_size": self.aggregation.kernel_size,
            "norm": serialize_norm(self.make_norm),
        }
