"""DeepLabV3: atrous spatial pyramid pooling on the last stage."""

from tensorflow import keras

from deeplab_ksac.aspp import ASPP
from deeplab_ksac.heads.rates import rates_at
from deeplab_ksac.layers import BatchNorm, deserialize_norm, serialize_norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class DeepLabV3Head(keras.layers.Layer):
    """ASPP on c5 (Sect. 2.2.1): {"features": [N, h, w, (2 + len(atrous_rates)) · filters]}, the branches side by side.

    Args:
        filters: channels of each branch.
        atrous_rates: for output stride 16; doubled at 8, halved at 32.
        separable: depthwise-separable atrous convolutions.
        output_stride: of the pyramid.
        norm: factory of the normalization layers.
    """

    bottleneck = {"filters": 256, "kernel_size": 1}

    def __init__(
        self, filters=256, atrous_rates=(6, 12, 18), *, separable=False, output_stride=16, norm=BatchNorm(), **kwargs
    ):
        super().__init__(**kwargs)
        self.filters, self.atrous_rates = filters, tuple(atrous_rates)
        self.separable, self.output_stride = separable, output_stride
        self.make_norm = deserialize_norm(norm)
        self.context = ASPP(
            filters,
            rates_at(output_stride, atrous_rates),
            separable=separable,
            project=False,
            norm=self.make_norm,
            dtype=self.dtype_policy,
            name="aspp",
        )

    def call(self, pyramid, training=None):
        return {"features": self.context(pyramid["c5"], training=training)}

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "separable": self.separable,
            "output_stride": self.output_stride,
            "norm": serialize_norm(self.make_norm),
        }
