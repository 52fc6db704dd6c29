"""Context from the whole image: its mean, seen from every pixel."""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers.conv import ConvNormAct
from deeplab_ksac.layers.norm import BatchNorm, deserialize_norm, serialize_norm


@keras.saving.register_keras_serializable("deeplab_ksac")
class ImagePooling(keras.layers.Layer):
    """The image-level branch (Fig. 2.3): mean over all pixels, 1×1 convolution, spread back over the pixels.

    [N, h, w, C] -> [N, h, w, filters]. The mean is taken in float32 whatever the precision policy.
    """

    def __init__(self, filters, *, norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.make_norm = deserialize_norm(norm)
        self.conv = ConvNormAct(filters, 1, norm=self.make_norm, dtype=self.dtype_policy, name="conv")

    def call(self, features, training=None):
        mean = tf.reduce_mean(tf.cast(features, tf.float32), axis=(1, 2), keepdims=True)
        context = self.conv(tf.cast(mean, features.dtype), training=training)
        shape = tf.shape(features)
        spread = tf.broadcast_to(context, [shape[0], shape[1], shape[2], self.filters])
        spread.set_shape([*features.shape[:3], self.filters])
        return spread

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "norm": serialize_norm(self.make_norm)}
