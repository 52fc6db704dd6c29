"""Kernels that tile a map without overlap, and what becomes of the pixels that fill no whole tile."""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers import spatial_size

EDGES = ("pad", "cut")


def require_edge(edge):
    """Raises ValueError unless `edge`, what becomes of an image's last pixels, is "pad" or "cut"."""
    if edge not in EDGES:
        raise ValueError(f"edge must be one of {', '.join(EDGES)}, not {edge!r}")


@keras.saving.register_keras_serializable("deeplab_ksac")
class PadToMultiple(keras.layers.Layer):
    """Zeros below and to the right, up to the next multiple of `multiple`: [N, h, w, C] -> [N, h', w', C]."""

    def __init__(self, multiple, **kwargs):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, features):
        height, width = spatial_size(features)
        return tf.pad(features, [[0, 0], [0, -height % self.multiple], [0, -width % self.multiple], [0, 0]])

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple}


def patch_conv(x, filters, side, name, edge):
    """A convolution of side × side pixels at every `side`-th one: [N, h, w, C] -> [N, ⌈h/side⌉, ⌈w/side⌉, filters].

    With `edge` "cut" the pixels of an incomplete last tile are left out, as timm does: ⌊h/side⌋ × ⌊w/side⌋.
    """
    if edge == "pad":
        x = PadToMultiple(side, name=f"{name}.pad")(x)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Conv2D(filters, side, side, kernel_initializer=initializer, name=name)(x)
