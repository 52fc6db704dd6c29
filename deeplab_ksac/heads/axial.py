"""The heads of chapter 3: axial attention, alone, with squeeze-and-excitation, and channelized."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import AxialAttention, ChannelizedAxialAttention, ChannelizedSelfAttention, SqueezeExcite
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.layers import BatchNorm, ConvNormAct, ImagePooling, deserialize_norm, serialize_norm
from deeplab_ksac.layers.norm import Norm


class AttentionHead(CompositeLayer):
    """What the heads of chapter 3 share: c5 -> 3×3 convolution -> attention, {"features": [N, h, w, filters]}.

    Args:
        filters: channels of the 3×3 convolution and of the attention's result.
        image_level: adds what the author's published head has besides: a 1×1 convolution on the context, and the
            image-level branch of c5 next to it, so that "features" has 2 · filters channels. Chapter 3 mentions
            neither, and the FLOPs of Table 3.1 are those without.
        norm: factory of the normalization layers.
    """

    bottleneck = {"filters": 256, "kernel_size": 1}

    def __init__(self, filters: int, *, image_level: bool, norm: Norm, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        self.filters, self.image_level, self.make_norm = filters, image_level, deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.reduction = ConvNormAct(filters, 3, **shared, name="reduction")
        if image_level:
            self.transition = ConvNormAct(filters, 1, **shared, name="transition")
            self.image_pooling = ImagePooling(filters, **shared, name="image_pooling")

    def attend(self, features: tf.Tensor, training: bool | None) -> tf.Tensor:
        """The context of `features` [N, h, w, filters], of the same shape: `self.attention`, which subclasses set."""
        return self.attention(features, training=training)

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        context = self.attend(self.reduction(pyramid["c5"], training=training), training)
        if not self.image_level:
            return {"features": context}
        image = self.image_pooling(pyramid["c5"], training=training)
        return {"features": tf.concat([self.transition(context, training=training), image], axis=-1)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "image_level": self.image_level,
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class AxialHead(AttentionHead):
    """Axial attention (first row of Table 3.1): c5 -> {"features": [N, h, w, filters]}.

    Args:
        filters: channels of the 3×3 convolution and of the value.
        key_filters: channels of θ and φ.
        image_level, norm: as `AttentionHead`.
    """

    def __init__(
        self,
        filters: int = 512,
        key_filters: int = 64,
        *,
        image_level: bool = False,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, image_level=image_level, norm=norm, **kwargs)
        self.attention = AxialAttention(
            filters, key_filters, norm=self.make_norm, dtype=self.dtype_policy, name="attention"
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "key_filters": self.attention.key_filters}


@keras.saving.register_keras_serializable("deeplab_ksac")
class AxialSqueezeExciteHead(AxialHead):
    """Axial attention, then squeeze-and-excitation (Table 3.2): c5 -> {"features": [N, h, w, filters]}.

    Args:
        filters, key_filters: as `AxialHead`.
        ratio: of the channels to squeeze-and-excitation's hidden units.
        image_level, norm: as `AttentionHead`.
    """

    def __init__(
        self,
        filters: int = 512,
        key_filters: int = 64,
        *,
        ratio: int = 16,
        image_level: bool = False,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, key_filters, image_level=image_level, norm=norm, **kwargs)
        self.squeeze_excite = SqueezeExcite(ratio, dtype=self.dtype_policy, name="squeeze_excite")

    def attend(self, features: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Axial attention, then the gate that all pixels share."""
        return self.squeeze_excite(super().attend(features, training))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.squeeze_excite.ratio}


class ChannelizedHead(AttentionHead):
    """What the two channelized heads share: `channelized`, the attention's class, and the arguments of its gate."""

    def __init__(
        self,
        filters: int = 512,
        key_filters: int = 64,
        *,
        gate_width: int = 128,
        gate_depth: int = 5,
        negative_slope: float = 0.2,
        groups: int | None = None,
        image_level: bool = False,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, image_level=image_level, norm=norm, **kwargs)
        self.attention = self.channelized(
            filters,
            key_filters,
            gate_width=gate_width,
            gate_depth=gate_depth,
            negative_slope=negative_slope,
            groups=groups,
            norm=self.make_norm,
            dtype=self.dtype_policy,
            name="attention",
        )

    def get_config(self) -> dict[str, Any]:
        attention = self.attention.get_config()
        names = ("key_filters", "gate_width", "gate_depth", "negative_slope", "groups")
        return {**super().get_config(), **{name: attention[name] for name in names}}


@keras.saving.register_keras_serializable("deeplab_ksac")
class ChannelizedAxialHead(ChannelizedHead):
    """Channelized axial attention, CAA (Fig. 3.5): c5 -> {"features": [N, h, w, filters]}.

    Args:
        filters, key_filters: as `AxialHead`.
        gate_width, gate_depth, negative_slope, groups: as `caa.ChannelizedAxialAttention`.
        image_level, norm: as `AttentionHead`.
    """

    channelized = ChannelizedAxialAttention


@keras.saving.register_keras_serializable("deeplab_ksac")
class ChannelizedSelfAttentionHead(ChannelizedHead):
    """Channelized self-attention (Table 3.3): c5 -> {"features": [N, h, w, filters]}.

    Args:
        filters, key_filters: as `AxialHead`.
        gate_width, gate_depth, negative_slope, groups: as `caa.ChannelizedSelfAttention`.
        image_level, norm: as `AttentionHead`.
    """

    channelized = ChannelizedSelfAttention
