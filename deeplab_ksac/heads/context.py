"""The heads that are one layer on c5: a convolution (FCN), ASPP (DeepLabV3), KSAC, pyramid pooling (PSPNet)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.ksac import KSAC
from deeplab_ksac.layers import BatchNorm, ConvNormAct
from deeplab_ksac.layers.arguments import rates_at
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.layers.pooling import PyramidPooling


class ContextHead(CompositeLayer):
    """What they share: pyramid -> {"features": `context`(c5)}.

    A subclass makes the layer `context`, and lists in `arguments` the constructor's arguments that are that layer's.
    """

    bottleneck = None
    arguments = ("filters", "norm")

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        return {"features": self.context(pyramid["c5"], training=training)}

    def get_config(self) -> dict[str, Any]:
        context = self.context.get_config()
        return {**super().get_config(), **{name: context[name] for name in self.arguments}}


@keras.saving.register_keras_serializable("deeplab_ksac")
class FCNHead(ContextHead):
    """One convolution on c5: {"features": [N, h, w, filters]}.

    Table 2.1's FCN is a 1×1 convolution to 256 channels and nothing between it and the classifier; chapter 4's is
    `FCNHead(512, 3)`, followed by a 1×1 bottleneck of 256.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        norm: factory of the normalization layer.
    """

    arguments = ("filters", "kernel_size", "norm")

    def __init__(
        self,
        filters: int = 256,
        kernel_size: int = 1,
        *,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.context = ConvNormAct(filters, kernel_size, norm=norm, dtype=self.dtype_policy, name="context")


@keras.saving.register_keras_serializable("deeplab_ksac")
class PSPNetHead(ContextHead):
    """Pyramid pooling (Zhao et al., CVPR 2017; Fig. 1.3): c5 -> {"features": [N, h, w, C + len(bins) · filters]}.

    Args:
        filters: channels of each pooled branch.
        bins: regions along a side, one number per branch.
        norm: factory of the normalization layers.

    Raises:
        ValueError: no bins, or one below 1.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}
    arguments = ("filters", "bins", "norm")

    def __init__(
        self,
        filters: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        *,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pooling = PyramidPooling(filters, bins, norm=norm, dtype=self.dtype_policy, name="pooling")

    @property
    def context(self) -> keras.layers.Layer:
        """The layer on c5; checkpoints know it as `pooling`."""
        return self.pooling


class AtrousHead(ContextHead):
    """What the two pyramids of atrous rates share: rates that are given for output stride 16."""

    bottleneck = {"filters": 256, "kernel_size": 1}

    def __init__(self, atrous_rates: Sequence[int], output_stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.atrous_rates, self.output_stride = tuple(atrous_rates), output_stride

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "atrous_rates": self.atrous_rates, "output_stride": self.output_stride}


@keras.saving.register_keras_serializable("deeplab_ksac")
class DeepLabV3Head(AtrousHead):
    """ASPP on c5 (Sect. 2.2.1): {"features": [N, h, w, (2 + len(atrous_rates)) · filters]}, the branches side by side.

    Args:
        filters: channels of each branch.
        atrous_rates: for output stride 16; doubled at 8, halved at 32.
        separable: depthwise-separable atrous convolutions.
        output_stride: of the pyramid.
        norm: factory of the normalization layers.

    Raises:
        ValueError: another output stride than 8, 16, 32, rates that are no whole pixels there.
    """

    arguments = ("filters", "separable", "norm")

    def __init__(
        self,
        filters: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        separable: bool = False,
        output_stride: int = 16,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(atrous_rates, output_stride, **kwargs)
        rates, shared = rates_at(output_stride, atrous_rates), {"norm": norm, "dtype": self.dtype_policy}
        self.context = ASPP(filters, rates, separable=separable, project=False, **shared, name="aspp")


@keras.saving.register_keras_serializable("deeplab_ksac")
class KSACHead(AtrousHead):
    """The KSAC module on c5 (Fig. 2.3): {"features": [N, h, w, 3 · filters]}, its three branches side by side.

    Args:
        filters: channels of each branch.
        atrous_rates: for output stride 16; doubled at 8, halved at 32.
        merge, method, separable: as `deeplab_ksac.KernelSharingAtrousConv`; "concat" gives
            (2 + len(atrous_rates)) · filters.
        output_stride: of the pyramid.
        norm: factory of the normalization layers.

    Raises:
        ValueError: as `DeepLabV3Head`; an unknown merge or method.
    """

    arguments = ("filters", "merge", "method", "separable", "norm")

    def __init__(
        self,
        filters: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        merge: str = "sum",
        method: str = "shared",
        separable: bool = False,
        output_stride: int = 16,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(atrous_rates, output_stride, **kwargs)
        rates, shared = rates_at(output_stride, atrous_rates), {"norm": norm, "dtype": self.dtype_policy}
        shared |= {"merge": merge, "method": method, "separable": separable}
        self.context = KSAC(filters, rates, project=False, **shared, name="ksac")
