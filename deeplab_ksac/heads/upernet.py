"""UperNet: a feature pyramid over pyramid pooling (Xiao et al., ECCV 2018; Fig. 4.3 A3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels, check_kernels
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    deserialize_norm,
    resize_bilinear,
    serialize_norm,
    spatial_size,
)
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.layers.pooling import PyramidPooling

LATERAL_LEVELS = ("c2", "c3", "c4")


@keras.saving.register_keras_serializable("deeplab_ksac")
class UperNetHead(CompositeLayer):
    """UperNet: c2…c5 -> {"features": [N, h, w, 4 · filters]} at c2's size.

    c5 passes pyramid pooling and a convolution; going up, each level adds a 1×1 convolution of its stage to the level
    below; c2…c4 pass a 3×3 convolution each; all four are brought to c2's size side by side.

    Args:
        filters: channels of every convolution.
        bins: of the pyramid pooling.
        context_kernel_size: side of the kernel of the convolution after the pooling; 1 is the variant of Sect. 4.4.2.3.
        norm: factory of the normalization layers.

    Raises:
        ValueError: a number below 1, or no bins.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}

    def __init__(
        self,
        filters: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        *,
        context_kernel_size: int = 3,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_kernels(context_kernel_size=context_kernel_size)
        self.filters, self.context_kernel_size, self.make_norm = filters, context_kernel_size, deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.pooling = PyramidPooling(filters, bins, **shared, name="pooling")
        self.context = ConvNormAct(filters, context_kernel_size, **shared, name="context")
        self.laterals = {level: ConvNormAct(filters, 1, **shared, name=f"lateral_{level}") for level in LATERAL_LEVELS}
        self.refinements = {
            level: ConvNormAct(filters, 3, **shared, name=f"refinement_{level}") for level in LATERAL_LEVELS
        }

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        top = self.context(self.pooling(pyramid["c5"], training=training), training=training)
        levels = [top]
        for level in reversed(LATERAL_LEVELS):
            lateral = self.laterals[level](pyramid[level], training=training)
            top = lateral + resize_bilinear(top, spatial_size(lateral))
            levels.append(self.refinements[level](top, training=training))
        size = spatial_size(pyramid["c2"])
        return {"features": tf.concat([resize_bilinear(level, size) for level in reversed(levels)], axis=-1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "bins": self.pooling.bins,
            "context_kernel_size": self.context_kernel_size,
            "norm": serialize_norm(self.make_norm),
        }
