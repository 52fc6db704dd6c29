"""Channelized attention (Sect. 3.3.2): channel attention inside spatial attention, axial and over all
pixels."""

from collections.abc import Sequence
from typing import Any

from caa.axial import AxialAttention, attend_columns, attend_rows
from caa.channel import ChannelAttention
from caa.factored import channelize_axially, channelize_pixels
from caa.grouped import channelize_in_groups, require_groups
from caa.pixels import MAP_BYTES, attend_pixels
from caa.pointwise import MOST_LAYERS, Norm, Pointwise, deserialize_norm, require_positive, serialize_norm
from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, build_sublayer, keras, with_channels
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import flatten_pixels, swap_axes, unflatten_pixels


@keras.saving.register_keras_serializable("caa")
class ChannelizedAxialAttention(AxialAttention):
    """Channelized axial attention (Eq. 3.9–3.11): [N, h, w, C] -> [N, h, w, filters].

    As `AxialAttention`, with a gate for each row inside the column attention and a gate for each column
    inside the row attention; the value of the rows is the gated result of the columns.

    Args:
        filters: channels of the value g and of the result.
        key_filters: channels of θ and of φ.
        gate_width: units of the gate's hidden layers.
        gate_depth: number of the gate's hidden layers (Table 3.1).
        negative_slope: of the gate's leaky ReLU; 0 is ReLU.
        groups: None is the factored form; an integer is the G of Algorithm 2, equal to it in outputs and
            gradients, slower, and in need of h·w·(h + w)·filters / G numbers of memory. Any G for any size.
        norm: as of `AxialAttention`.

    Raises:
        ValueError: an argument that is out of range.

    Example:
        >>> ChannelizedAxialAttention(512)(tf.zeros([1, 33, 33, 2048])).shape
        TensorShape([1, 33, 33, 512])
    """

    def __init__(
        self,
        filters: int,
        key_filters: int = 64,
        *,
        gate_width: int = 128,
        gate_depth: int = 5,
        negative_slope: float = 0.2,
        groups: int | None = None,
        norm: Norm | None = keras.layers.BatchNormalization,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, key_filters, norm=norm, **kwargs)
        require_positive(gate_width=gate_width)
        require_positive(MOST_LAYERS, gate_depth=gate_depth)
        require_groups(groups)
        self.groups = groups
        gate = {"width": gate_width, "depth": gate_depth, "negative_slope": negative_slope}
        self.column_gate = ChannelAttention(**gate, dtype=self.dtype_policy, name="column_gate")
        self.row_gate = ChannelAttention(**gate, dtype=self.dtype_policy, name="row_gate")

    def build(self, input_shape: Sequence[int | None]) -> None:
        for gate in (self.column_gate, self.row_gate):
            build_sublayer(gate, [None, None, self.filters])
        super().build(input_shape)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        theta = self.theta(features, training=training)
        phi = self.phi(features, training=training)
        value = self.value(features, training=training)
        if self.groups is None:
            return channelize_axially(theta, phi, value, self.column_gate, self.row_gate)
        columns = channelize_in_groups(swap_axes(theta), swap_axes(value), self.column_gate, self.groups)
        return channelize_in_groups(phi, swap_axes(columns), self.row_gate, self.groups)

    def gates(self, features: Tensor) -> dict[str, Tensor]:
        """The gates at inference (Eq. 3.9, 3.10): {"row_gates": [N, h, filters], "column_gates": [N, w, filters]}.

        The first weighs the column attention's result, one gate for each row; the second that of the row attention.
        """
        theta, phi, value = (part(features, training=False) for part in (self.theta, self.phi, self.value))
        height, width = (ops.cast(ops.shape(value)[axis], ops.at_least_float32(value).dtype) for axis in (1, 2))
        columns = attend_columns(theta, value)
        row_gates = self.column_gate(ops.mean(ops.at_least_float32(columns), axis=2) / height)
        rows = attend_rows(phi, columns * ops.cast(row_gates, columns.dtype)[:, :, ops.newaxis])
        column_gates = self.row_gate(ops.mean(ops.at_least_float32(rows), axis=1) / width)
        return {"row_gates": row_gates, "column_gates": column_gates}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gate_width": self.column_gate.width,
            "gate_depth": self.column_gate.depth,
            "negative_slope": self.column_gate.negative_slope,
            "groups": self.groups,
        }


@keras.saving.register_keras_serializable("caa")
class ChannelizedSelfAttention(CompositeLayer):
    """Channelized self-attention (Table 3.3), with a gate for each pixel: [N, h, w, C] -> [N, h, w, filters].

    Query and key are the same transformation θ (Eq. 3.2). The gate of a pixel is computed from the mean of
    the products α over all pixels attended to.

    Args:
        filters: channels of the value g and of the result.
        key_filters: channels of θ.
        gate_width: units of the gate's hidden layers.
        gate_depth: number of the gate's hidden layers.
        negative_slope: of the gate's leaky ReLU; 0 is ReLU.
        groups: None is the factored form, which never holds more than `attend_pixels`' part of a large
            attention map; an integer is the G of Algorithm 2 over the queries.
        norm: as of `AxialAttention`.

    Raises:
        ValueError: an argument that is out of range.

    Example:
        >>> ChannelizedSelfAttention(512)(tf.zeros([1, 33, 33, 2048])).shape
        TensorShape([1, 33, 33, 512])
    """

    def __init__(
        self,
        filters: int,
        key_filters: int = 64,
        *,
        gate_width: int = 128,
        gate_depth: int = 5,
        negative_slope: float = 0.2,
        groups: int | None = None,
        norm: Norm | None = keras.layers.BatchNormalization,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require_positive(filters=filters, key_filters=key_filters, gate_width=gate_width)
        require_positive(MOST_LAYERS, gate_depth=gate_depth)
        require_groups(groups)
        self.filters, self.key_filters = filters, key_filters
        self.groups, self.make_norm, self.map_bytes = groups, deserialize_norm(norm), MAP_BYTES
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.theta = Pointwise(key_filters, **shared, name="theta")
        self.value = Pointwise(filters, **shared, name="value")
        self.gate = ChannelAttention(
            gate_width, gate_depth, negative_slope=negative_slope, dtype=self.dtype_policy, name="gate"
        )

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_sublayer(self.gate, [None, None, self.filters])
        build_on_keras_3(input_shape, self.theta, self.value)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        theta = flatten_pixels(self.theta(features, training=training))
        value = flatten_pixels(self.value(features, training=training))
        if self.groups is None:
            attended = attend_pixels(theta, theta, value, map_bytes=self.map_bytes)
            result = channelize_pixels(attended, ops.shape(value)[1], self.gate)
        else:
            theta, value = theta[:, ops.newaxis], value[:, ops.newaxis]  # all pixels are one line
            result = channelize_in_groups(theta, value, self.gate, self.groups)
        return unflatten_pixels(result, features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.key_filters,
            "gate_width": self.gate.width,
            "gate_depth": self.gate.depth,
            "negative_slope": self.gate.negative_slope,
            "groups": self.groups,
            "norm": serialize_norm(self.make_norm),
        }
