"""Convolutions that backbones share: with their normalization under one name, and of patches without overlap."""

from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.layers import AtrousConv2D, spatial_size
from deeplab_ksac.layers.norm import NormFactory

EDGES = ("pad", "cut")


def conv_norm(
    x: tf.Tensor, filters: int, kernel_size: int, name: str, *, norm: NormFactory, stride: int = 1, rate: int = 1
) -> tf.Tensor:
    """Convolution and normalization: [N, h, w, C] -> [N, ⌈h/stride⌉, ⌈w/stride⌉, filters].

    A strided kernel is centered on every `stride`-th pixel from the first one on, at odd and even sizes alike.
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    conv = AtrousConv2D(filters, kernel_size, stride, padding, dilation_rate=rate, use_bias=False, name=f"{name}_conv")
    return norm(name=f"{name}_norm")(conv(x))


def relu(x: tf.Tensor, name: str) -> tf.Tensor:
    """The activation as a named layer."""
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def require_edge(edge: str) -> None:
    """Raises ValueError unless `edge`, what becomes of an image's last pixels, is "pad" or "cut"."""
    if edge not in EDGES:
        raise ValueError(f"edge must be one of {', '.join(EDGES)}, not {edge!r}")


@keras.saving.register_keras_serializable("deeplab_ksac")
class PadToMultiple(keras.layers.Layer):
    """Zeros below and to the right, up to the next multiple of `multiple`: [N, h, w, C] -> [N, h', w', C]."""

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, features: tf.Tensor) -> tf.Tensor:
        # By a constant, then cut: so converters know the channels, and no negative number is divided, which some round
        # otherwise than Python.
        most = self.multiple - 1
        height, width = ((size + most) // self.multiple * self.multiple for size in spatial_size(features))
        return tf.pad(features, [[0, 0], [0, most], [0, most], [0, 0]])[:, :height, :width]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}


def patch_conv(x: tf.Tensor, filters: int, side: int, name: str, edge: str) -> tf.Tensor:
    """A convolution of side × side pixels at every `side`-th one: [N, h, w, C] -> [N, ⌈h/side⌉, ⌈w/side⌉, filters].

    With `edge` "cut" the pixels of an incomplete last tile are left out, as timm does: ⌊h/side⌋ × ⌊w/side⌋.
    """
    if edge == "pad":
        x = PadToMultiple(side, name=f"{name}.pad")(x)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Conv2D(filters, side, side, kernel_initializer=initializer, name=name)(x)
