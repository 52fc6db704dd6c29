"""KSAC as a head: the kernel-sharing pyramid where DeepLabV3 has ASPP."""

from tensorflow import keras

from deeplab_ksac.heads.rates import rates_at
from deeplab_ksac.ksac import KSAC
from deeplab_ksac.layers import BatchNorm, deserialize_norm, serialize_norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class KSACHead(keras.layers.Layer):
    """The KSAC module on c5 (Fig. 2.3): {"features": [N, h, w, 3 · filters]}, its three branches side by side.

    Args:
        filters: channels of each branch.
        atrous_rates: for output stride 16; doubled at 8, halved at 32.
        merge, method: as `deeplab_ksac.KernelSharingAtrousConv`; "concat" gives (2 + len(atrous_rates)) · filters.
        output_stride: of the pyramid.
        norm: factory of the normalization layers.
    """

    bottleneck = {"filters": 256, "kernel_size": 1}

    def __init__(
        self,
        filters=256,
        atrous_rates=(6, 12, 18),
        *,
        merge="sum",
        method="shared",
        output_stride=16,
        norm=BatchNorm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.atrous_rates = filters, tuple(atrous_rates)
        self.merge, self.method, self.output_stride = merge, method, output_stride
        self.make_norm = deserialize_norm(norm)
        self.context = KSAC(
            filters,
            rates_at(output_stride, atrous_rates),
            merge=merge,
            method=method,
            project=False,
            norm=self.make_norm,
            dtype=self.dtype_policy,
            name="ksac",
        )

    def call(self, pyramid, training=None):
        return {"features": self.context(pyramid["c5"], training=training)}

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "merge": self.merge,
            "method": self.method,
            "output_stride": self.output_stride,
            "norm": serialize_norm(self.make_norm),
        }
