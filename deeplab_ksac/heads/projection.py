"""The linear convolution whose output CAR regularizes, and its disappearance into the convolution that follows."""

from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.any_keras import CompositeLayer
from deeplab_ksac.arguments import check_channels


@keras.saving.register_keras_serializable("deeplab_ksac")
class LinearProjection(CompositeLayer):
    """CAR's 1×1 convolution without normalization or activation: [N, h, w, C] -> [N, h, w, min(C, filters)].

    Args:
        filters: most output channels; the author's code has 512, and 256 for CAA and DeepLabV3.
        use_bias: whether it has a bias. Before a bottleneck with a larger kernel than 1×1 it should have none: what a
            bias becomes there depends on the distance from the border, so that it could not be folded.
    """

    def __init__(self, filters: int = 512, *, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        self.filters, self.use_bias = filters, use_bias

    def build(self, input_shape: tf.TensorShape) -> None:
        filters = min(self.filters, input_shape[-1])
        self.conv = keras.layers.Conv2D(filters, 1, use_bias=self.use_bias, dtype=self.dtype_policy, name="conv")
        self.conv.build(input_shape)
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        return self.conv(features)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "use_bias": self.use_bias}


def fold_into_bottleneck(
    projection: keras.layers.Layer, bottleneck: keras.layers.Layer, folded: keras.layers.Layer
) -> None:
    """Gives `folded`, a `Bottleneck` of the projection's input, the weights by which it does what projection and
    bottleneck do one after the other: the kernels multiply, the bias leaves the normalization's mean.

    Raises:
        ValueError: a bias before a kernel larger than 1×1.
    """
    first, second = (np.asarray(kernel, np.float64) for kernel in (projection.conv.kernel, bottleneck.conv.conv.kernel))
    if projection.use_bias and second.shape[:2] != (1, 1):
        size = "×".join(map(str, second.shape[:2]))
        raise ValueError(f"{projection.name} has a bias, which does not fold into {size}; give it use_bias=False")
    kernels = {bottleneck.conv.conv.kernel.name: first[0, 0] @ second}
    if projection.use_bias:
        mean = bottleneck.conv.norm.moving_mean
        kernels[mean.name] = np.asarray(mean, np.float64) - np.asarray(projection.conv.bias, np.float64) @ second[0, 0]
    folded.set_weights([kernels.get(weight.name, np.asarray(weight)) for weight in bottleneck.weights])


PROJECTIONS = {"linear": LinearProjection}
