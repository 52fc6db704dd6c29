"""Stochastic depth: a residual branch left out for single images of a batch."""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers.dropout import Dropout


@keras.saving.register_keras_serializable("deeplab_ksac")
class DropPath(Dropout):
    """Sets whole images' maps to 0 with probability `rate`, each image by itself, and divides the others by 1 − rate:
    [N, …, C] -> the same; in training only.

    Dropout with one draw per image. `keras_cv.layers.DropPath` would draw once, when a step is compiled,
    and leave out the same images of every batch; `tfa.layers.StochasticDepth` draws once for a whole batch.
    """

    def _get_noise_shape(self, inputs):
        return tf.concat([tf.shape(inputs)[:1], tf.ones([inputs.shape.rank - 1], tf.int32)], axis=0)
