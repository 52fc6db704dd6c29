"""Channel attention, then spatial attention (Fig. 3.1b), with the branch that shows their conflict."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import SqueezeExcite
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.heads.self_attention import PixelAttention
from deeplab_ksac.layers import BatchNorm, ConvNormAct, deserialize_norm, serialize_norm
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class SequentialHead(CompositeLayer):
    """c5 -> 3×3 convolution -> squeeze-and-excitation -> self-attention with its shortcut.

    c5 -> {"features": [N, h, w, filters], "channel_logits": [N, h, w, num_classes]}. "channel_logits" classifies what
    comes from the channel attention, behind a stop-gradient, so that a loss on it has no effect on anything but that
    classifier (Sect. 3.2.1).

    Args:
        num_classes: K of the extra branch.
        filters: channels of the convolution and of the attention's result.
        key_filters: channels of the self-attention's query and key.
        ratio: of the channels to squeeze-and-excitation's hidden units.
        norm: factory of the normalization layers.

    Raises:
        ValueError: an argument below 1.
    """

    bottleneck = {"filters": 256, "kernel_size": 1}

    def __init__(
        self,
        num_classes: int,
        filters: int = 512,
        *,
        key_filters: int = 64,
        ratio: int = 16,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(num_classes=num_classes, filters=filters)
        self.filters, self.make_norm = filters, deserialize_norm(norm)
        self.reduction = ConvNormAct(filters, 3, norm=self.make_norm, dtype=self.dtype_policy, name="reduction")
        self.channel_attention = SqueezeExcite(ratio, dtype=self.dtype_policy, name="channel_attention")
        self.spatial_attention = PixelAttention(filters, key_filters, dtype=self.dtype_policy, name="spatial_attention")
        self.channel_classifier = keras.layers.Conv2D(
            num_classes, 1, dtype=self.dtype_policy, name="channel_classifier"
        )

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        channel = self.channel_attention(self.reduction(pyramid["c5"], training=training))
        return {
            "features": channel + self.spatial_attention(channel),
            "channel_logits": self.channel_classifier(tf.stop_gradient(channel)),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.channel_classifier.filters,
            "filters": self.filters,
            "key_filters": self.spatial_attention.key_filters,
            "ratio": self.channel_attention.ratio,
            "norm": serialize_norm(self.make_norm),
        }
