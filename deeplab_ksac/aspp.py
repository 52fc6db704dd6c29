"""Atrous spatial pyramid pooling, what KSAC replaces (Sect. 2.2.1)."""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.layers import (
    BatchNorm,
    ConvNormAct,
    ImagePooling,
    SeparableConvNormAct,
    deserialize_norm,
    serialize_norm,
)
from deeplab_ksac.layers.arguments import check_atrous_rates
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.tensor_ops import Tensor, ops


@keras.saving.register_keras_serializable("deeplab_ksac")
class ASPP(CompositeLayer):
    """DeepLabV3's pyramid: a kernel of its own for every atrous rate: [N, h, w, C] -> [N, h, w, filters].

    Image-level features, a 1×1 convolution and one 3×3 atrous convolution per rate side by side, then a 1×1
    convolution.

    Args:
        filters: channels of every branch and of the result.
        atrous_rates: in pixels of the feature map: (6, 12, 18) suits output stride 16; () leaves the atrous
            convolutions out, as DeepLab's models for phones do.
        separable: depthwise-separable atrous convolutions, as DeepLabV3+ has them.
        project: whether the 1×1 convolution at the end is part of the module; without it the result is the
            concatenation, of (2 + len(atrous_rates)) · filters channels.
        norm: factory of the normalization layers.

    Raises:
        ValueError: a rate below 1.
    """

    def __init__(
        self,
        filters: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        separable: bool = False,
        project: bool = True,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        none = isinstance(atrous_rates, tuple | list) and not atrous_rates
        self.filters, self.atrous_rates = filters, () if none else check_atrous_rates(atrous_rates)
        self.separable, self.project = separable, project
        self.make_norm = deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        conv = SeparableConvNormAct if separable else ConvNormAct
        self.branches = [
            ImagePooling(filters, **shared, name="image_level"),
            ConvNormAct(filters, 1, **shared, name="pointwise"),
            *(
                conv(filters, 3, atrous_rate=rate, **shared, name=f"atrous_{index}_rate_{rate}")
                for index, rate in enumerate(self.atrous_rates)
            ),
        ]
        self.channels = filters * len(self.branches)
        self.projection = ConvNormAct(filters, 1, **shared, name="projection") if project else None

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, *self.branches)
        if self.project:
            build_on_keras_3(with_channels(input_shape, self.channels), self.projection)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters if self.project else self.channels)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        context = ops.concatenate([branch(features, training=training) for branch in self.branches], axis=-1)
        return self.projection(context, training=training) if self.project else context

    def rate_features(self, features: Tensor) -> dict[int, Tensor]:
        """What each atrous rate sees at inference (Fig. 2.4): [N, h, w, C] -> {rate: [N, h, w, filters]}."""
        atrous = self.branches[2:]
        return {rate: branch(features, training=False) for rate, branch in zip(self.atrous_rates, atrous, strict=True)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "separable": self.separable,
            "project": self.project,
            "norm": serialize_norm(self.make_norm),
        }
