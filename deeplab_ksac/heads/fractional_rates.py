"""The KSAC module with rates of its own (Sect. 2.5). Experimental (docs/claims.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.fractional_rates import ExperimentalKernelSharingAtrousConv, check_bounds
from deeplab_ksac.layers import BatchNorm, ConvNormAct, ImagePooling, deserialize_norm, serialize_norm
from deeplab_ksac.layers.arguments import rates_at
from deeplab_ksac.layers.norm import Norm


class ExperimentalRatesHead(CompositeLayer):
    """What the two share: c5 -> {"features": [N, h, w, 3 · filters]}, the three branches of Fig. 2.3 side by side.

    Args:
        filters: channels of each branch.
        atrous_rates: at the beginning, for output stride 16; doubled at 8, halved at 32.
        bounds: least and largest rate, for output stride 16 as well; none goes below 1 at any.
        output_stride: of the pyramid.
        norm: factory of the normalization layers.

    Raises:
        ValueError: as `KSACHead` and `ExperimentalKernelSharingAtrousConv`.
    """

    bottleneck = {"filters": 256, "kernel_size": 1}
    rates = ""  # of `ExperimentalKernelSharingAtrousConv`

    def __init__(
        self,
        filters: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        bounds: tuple[float, float] = (1.0, 36.0),
        output_stride: int = 16,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.atrous_rates, self.bounds = filters, tuple(atrous_rates), check_bounds(bounds)
        self.output_stride, self.make_norm = output_stride, deserialize_norm(norm)
        rates, shared = rates_at(output_stride, atrous_rates), {"norm": self.make_norm, "dtype": self.dtype_policy}
        scaled = tuple(max(1.0, bound * 16 / output_stride) for bound in self.bounds)
        self.image_level = ImagePooling(filters, **shared, name="image_level")
        self.pointwise = ConvNormAct(filters, 1, **shared, name="pointwise")
        self.pyramid = ExperimentalKernelSharingAtrousConv(
            filters, rates, rates=self.rates, bounds=scaled, **shared, name="pyramid"
        )

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        branches = (self.image_level, self.pointwise, self.pyramid)
        return {"features": tf.concat([branch(pyramid["c5"], training=training) for branch in branches], axis=-1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "bounds": self.bounds,
            "output_stride": self.output_stride,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class ExperimentalLearnedRatesHead(ExperimentalRatesHead):
    """KSAC whose rates are weights, one set for the network."""

    rates = "learned"


@keras.saving.register_keras_serializable("deeplab_ksac")
class ExperimentalDynamicRatesHead(ExperimentalRatesHead):
    """KSAC whose rates are found for each picture, from the means over its rows and columns."""

    rates = "dynamic"
