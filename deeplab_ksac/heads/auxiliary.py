"""The auxiliary loss's classifier, on an earlier stage."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels
from deeplab_ksac.layers import BatchNorm, ConvNormAct
from deeplab_ksac.layers.arguments import require_levels
from deeplab_ksac.layers.norm import Norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class AuxiliaryClassifier(CompositeLayer):
    """An FCN classifier on an earlier stage, for the auxiliary loss: pyramid -> logits [N, h, w, num_classes].

    Args:
        num_classes: K.
        level: the stage, a key of the pyramid.
        filters: channels of the 3×3 convolution before the classifier.
        norm: factory of the normalization layer.

    Raises:
        ValueError: a number below 1, an unknown level.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        level: str = "c4",
        filters: int = 256,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(num_classes=num_classes, filters=filters)
        require_levels(level=level)
        self.level = level
        self.context = ConvNormAct(filters, 3, norm=norm, dtype=self.dtype_policy, name="context")
        self.classifier = keras.layers.Conv2D(num_classes, 1, dtype=self.dtype_policy, name="classifier")

    def call(self, pyramid: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return self.classifier(self.context(pyramid[self.level], training=training))

    def get_config(self) -> dict[str, Any]:
        context = self.context.get_config()
        return {
            **super().get_config(),
            "num_classes": self.classifier.filters,
            "level": self.level,
            "filters": context["filters"],
            "norm": context["norm"],
        }
