"""PSPNet: pyramid pooling on the last stage (Zhao et al., CVPR 2017; Fig. 1.3)."""

from tensorflow import keras

from deeplab_ksac.layers import BatchNorm, deserialize_norm, serialize_norm
from deeplab_ksac.layers.pyramid_pooling import PyramidPooling


@keras.saving.register_keras_serializable("deeplab_ksac")
class PSPNetHead(keras.layers.Layer):
    """Pyramid pooling: c5 [N, h, w, C] -> {"features": [N, h, w, C + len(bins) · filters]}.

    Args:
        filters: channels of each pooled branch.
        bins: regions along a side, one number per branch.
        norm: factory of the normalization layers.

    Raises:
        ValueError: no bins, or one below 1.
    """

    bottleneck = {"filters": 512, "kernel_size": 3}

    def __init__(self, filters=512, bins=(1, 2, 3, 6), *, norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.make_norm = deserialize_norm(norm)
        self.pooling = PyramidPooling(filters, bins, norm=self.make_norm, name="pooling")

    def call(self, pyramid, training=None):
        return {"features": self.pooling(pyramid["c5"], training=training)}

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.pooling.filters,
            "bins": self.pooling.bins,
            "norm": serialize_norm(self.make_norm),
        }
