"""Convolution, normalization and activation as one layer, plain and depthwise-separable."""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers.norm import BatchNorm, deserialize_norm, serialize_norm


def atrous_conv2d(features, kernel, atrous_rate, padding="SAME"):
    """3×3 (or any) kernel with its taps `atrous_rate` pixels apart: [N, h, w, C] · [a, b, C, D] -> [N, h, w, D].

    One native convolution where TensorFlow has its gradient: faster than space-to-batch around a plain convolution at
    every rate (3.8 times at rate 36 on a CPU), and the profiler counts its true multiply-adds. On a CPU that is
    float32 and bfloat16; the other types take the space-to-batch form, which gives the same numbers.
    """
    rates = [atrous_rate, atrous_rate] if isinstance(atrous_rate, int) else list(atrous_rate)
    if features.dtype in (tf.float32, tf.bfloat16) or tf.config.list_physical_devices("GPU"):
        return tf.nn.conv2d(features, kernel, 1, padding, dilations=rates)
    return tf.nn.convolution(features, kernel, padding=padding, dilations=rates)


@keras.saving.register_keras_serializable("deeplab_ksac")
class AtrousConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose atrous form is `atrous_conv2d`. Same arguments, weights and results."""

    def convolution_op(self, inputs, kernel):
        atrous = max(self.dilation_rate) > 1 and self.groups == 1 and self.padding in ("same", "valid")
        if not atrous:
            return super().convolution_op(inputs, kernel)
        return atrous_conv2d(inputs, kernel, self.dilation_rate, self.padding.upper())


@keras.saving.register_keras_serializable("deeplab_ksac")
class ConvNormAct(keras.layers.Layer):
    """Convolution without bias, normalization, activation: [N, h, w, C] -> [N, h/strides, w/strides, filters].

    Args:
        filters: output channels.
        kernel_size: side of the kernel, in pixels.
        strides: step of the kernel, in pixels.
        atrous_rate: distance of the kernel's taps, in pixels.
        activation: a Keras activation, or None for a linear layer.
        norm: factory of the normalization layer.
    """

    def __init__(
        self, filters, kernel_size=1, *, strides=1, atrous_rate=1, activation="relu", norm=BatchNorm(), **kwargs
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides, self.atrous_rate = filters, kernel_size, strides, atrous_rate
        self.make_norm = deserialize_norm(norm)
        self.conv = AtrousConv2D(
            filters,
            kernel_size,
            strides,
            "same",
            dilation_rate=atrous_rate,
            use_bias=False,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = self.make_norm(dtype=self.dtype_policy, name="norm")
        self.activation = keras.activations.get(activation)

    def call(self, features, training=None):
        return self.activation(self.norm(self.conv(features), training=training))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "atrous_rate": self.atrous_rate,
            "activation": keras.activations.serialize(self.activation),
            "norm": serialize_norm(self.make_norm),
        }


@keras.saving.register_keras_serializable("deeplab_ksac")
class SeparableConvNormAct(keras.layers.Layer):
    """Depthwise 3×3 then pointwise 1×1 convolution, each normalized and activated (DeepLabV3+): [N, h, w, C] ->
    [N, h, w, filters]. Arguments as `ConvNormAct`."""

    def __init__(self, filters, kernel_size=3, *, atrous_rate=1, activation="relu", norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.atrous_rate = filters, kernel_size, atrous_rate
        self.make_norm = deserialize_norm(norm)
        self.depthwise = keras.layers.DepthwiseConv2D(
            kernel_size,
            padding="same",
            dilation_rate=atrous_rate,
            use_bias=False,
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.norm = self.make_norm(dtype=self.dtype_policy, name="norm")
        self.activation = keras.activations.get(activation)
        self.pointwise = ConvNormAct(
            filters, 1, activation=activation, norm=self.make_norm, dtype=self.dtype_policy, name="pointwise"
        )

    def call(self, features, training=None):
        spatial = self.activation(self.norm(self.depthwise(features), training=training))
        return self.pointwise(spatial, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "atrous_rate": self.atrous_rate,
            "activation": keras.activations.serialize(self.activation),
            "norm": serialize_norm(self.make_norm),
        }
