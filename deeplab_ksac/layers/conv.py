"""Convolution, normalization and activation as one layer, plain and depthwise-separable."""

from collections.abc import Callable, Sequence
from typing import Any

from deeplab_ksac.any_keras import KERAS_3, CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.arguments import LARGEST_RATE, check_channels, check_kernels, check_whole_numbers
from deeplab_ksac.layers.norm import BatchNorm, Norm, deserialize_norm, serialize_norm
from deeplab_ksac.tensor_ops import Tensor, ops


def pad_centered(features: Tensor, kernel_size: tuple[int, int], dilation_rate: tuple[int, int]) -> Tensor:
    """Zeros around a map, so that an unpadded strided kernel is centered on every stride-th pixel from the first on.

    What PyTorch's networks do; TensorFlow's "same" begins one pixel later where the size is even.
    """
    halves = [side // 2 * rate for side, rate in zip(kernel_size, dilation_rate, strict=True)]
    return ops.pad(features, [(0, 0), *((half, half) for half in halves), (0, 0)])


@keras.saving.register_keras_serializable("deeplab_ksac")
class AtrousConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose atrous form is `atrous_conv2d`. Same arguments, weights and results.

    Args:
        centered: "same" padding is that of `pad_centered` where the kernel strides.
    """

    def __init__(self, *args: Any, centered: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.centered = centered

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if self.centered and max(self.strides) > 1 and self.padding == "same":
            padded = pad_centered(inputs, self.kernel_size, self.dilation_rate)
            return ops.conv2d(padded, kernel, self.strides, "VALID", self.dilation_rate)
        atrous = max(self.dilation_rate) > 1 and self.groups == 1 and self.padding in ("same", "valid")
        if not atrous:
            return super().convolution_op(inputs, kernel)
        return ops.atrous_conv2d(inputs, kernel, self.dilation_rate, self.padding.upper())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "centered": self.centered}


@keras.saving.register_keras_serializable("deeplab_ksac")
class AtrousDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` whose wide kernels have a fast gradient on CPUs. Same arguments, weights, results.

    Args:
        centered: "same" padding is that of `pad_centered` where the kernel strides.
    """

    def __init__(self, *args: Any, centered: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.centered = centered

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.data_format != "channels_last":
            return super().call(inputs)
        padding = self.padding
        if self.centered and max(self.strides) > 1 and padding == "same":
            inputs, padding = pad_centered(inputs, self.kernel_size, self.dilation_rate), "valid"
        kernel = self.kernel if KERAS_3 else self.depthwise_kernel
        outputs = ops.depthwise_conv2d(inputs, kernel, self.strides, padding.upper(), self.dilation_rate, training)
        outputs = ops.bias_add(outputs, self.bias) if self.use_bias else outputs
        return self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "centered": self.centered}


@keras.saving.register_keras_serializable("deeplab_ksac")
class ConvNormAct(CompositeLayer):
    """Convolution without bias, normalization, activation: [N, h, w, C] -> [N, h/strides, w/strides, filters].

    Args:
        filters: output channels.
        kernel_size: side of the kernel, in pixels.
        strides: step of the kernel, in pixels.
        atrous_rate: distance of the kernel's taps, in pixels.
        activation: a Keras activation, or None for a linear layer.
        norm: factory of the normalization layer.

    Raises:
        ValueError: a number that is no integer of at least 1, or too large (`deeplab_ksac.arguments`).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        atrous_rate: int = 1,
        activation: str | Callable | None = "relu",
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_kernels(kernel_size=kernel_size, strides=strides)
        check_whole_numbers(1, LARGEST_RATE, atrous_rate=atrous_rate)
        self.filters, self.kernel_size, self.strides, self.atrous_rate = filters, kernel_size, strides, atrous_rate
        self.make_norm = deserialize_norm(norm)
        self.conv = AtrousConv2D(
            filters,
            kernel_size,
            strides,
            "same",
            data_format="channels_last",
            dilation_rate=atrous_rate,
            use_bias=False,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = self.make_norm(dtype=self.dtype_policy, name="norm")
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.conv)
        build_on_keras_3(with_channels(input_shape, self.filters), self.norm)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        return self.conv.compute_output_shape(input_shape)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        return self.activation(self.norm(self.conv(features), training=training))

    def get_config(self) -> dict[str, Any]:
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
class SeparableConvNormAct(CompositeLayer):
    """Depthwise 3×3 then pointwise 1×1 convolution, each normalized and activated (DeepLabV3+): [N, h, w, C] ->
    [N, h, w, filters]. Arguments as `ConvNormAct`."""

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        atrous_rate: int = 1,
        activation: str | Callable | None = "relu",
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters)
        check_kernels(kernel_size=kernel_size)
        check_whole_numbers(1, LARGEST_RATE, atrous_rate=atrous_rate)
        self.filters, self.kernel_size, self.atrous_rate = filters, kernel_size, atrous_rate
        self.make_norm = deserialize_norm(norm)
        self.depthwise = AtrousDepthwiseConv2D(
            kernel_size,
            padding="same",
            data_format="channels_last",
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

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.depthwise, self.norm, self.pointwise)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        spatial = self.activation(self.norm(self.depthwise(features, training=training), training=training))
        return self.pointwise(spatial, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "atrous_rate": self.atrous_rate,
            "activation": keras.activations.serialize(self.activation),
            "norm": serialize_norm(self.make_norm),
        }
