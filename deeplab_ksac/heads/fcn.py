"""The plainest context: one convolution on the last stage."""

from tensorflow import keras

from deeplab_ksac.layers import BatchNorm, ConvNormAct, deserialize_norm, serialize_norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class FCNHead(keras.layers.Layer):
    """One convolution on c5: {"features": [N, h, w, filters]}.

    Table 2.1's FCN is a 1×1 convolution to 256 channels and nothing between it and the classifier; chapter 4's is
    `FCNHead(512, 3)`, followed by a 1×1 bottleneck of 256.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        norm: factory of the normalization layer.
    """

    bottleneck = None

    def __init__(self, filters=256, kernel_size=1, *, norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.make_norm = deserialize_norm(norm)
        self.context = ConvNormAct(filters, kernel_size, norm=self.make_norm, dtype=self.dtype_policy, name="context")

    def call(self, pyramid, training=None):
        return {"features": self.context(pyramid["c5"], training=training)}

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "norm": serialize_norm(self.make_norm),
        }
