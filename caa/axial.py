"""Axial attention (Sect. 3.3.1.2): every pixel attends to its column, then to its row."""

from collections.abc import Sequence
from typing import Any

from caa.pointwise import Norm, Pointwise, deserialize_norm, require_positive, serialize_norm
from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import swap_axes


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over the attended positions of the scalar products, without a scale (Eq. 3.2, 3.3, 3.4).

    query [..., P, D], key [..., M, D] -> [..., P, M], rows that sum to 1.
    The softmax is taken in float32 at least.
    """
    energy = ops.matmul(query, key, transpose_b=True)
    return ops.cast(ops.softmax(ops.at_least_float32(energy)), energy.dtype)


def attend_rows(query_key: Tensor, value: Tensor) -> Tensor:
    """Every pixel attends to its own row (Eq. 3.4).

    query_key [N, h, w, D], value [N, h, w, C] -> [N, h, w, C].
    """
    return ops.matmul(attention_weights(query_key, query_key), value)


def attend_columns(query_key: Tensor, value: Tensor) -> Tensor:
    """Every pixel attends to its own column (Eq. 3.3, the inner sum of Eq. 3.5).

    query_key [N, h, w, D], value [N, h, w, C] -> [N, h, w, C].
    """
    return swap_axes(attend_rows(swap_axes(query_key), swap_axes(value)))


@keras.saving.register_keras_serializable("caa")
class AxialAttention(CompositeLayer):
    """Axial attention: columns, then rows of the columns' result (Eq. 3.3–3.5).

    [N, h, w, C] -> [N, h, w, filters].

    Query and key are the same transformation of the features, θ for the columns and φ for the rows; the value
    of the rows is the result of the columns. Any h and w, known or not; costs O(h²w + hw²).

    Args:
        filters: channels of the value g and of the result.
        key_filters: channels of θ and of φ.
        norm: factory of the normalization layers, called with a name. θ, φ and g are then 1×1 convolution,
            normalization, ReLU, as in the author's published code; None makes them the plain 1×1 convolutions
            of the thesis's text.

    Raises:
        ValueError: `filters` or `key_filters` below 1.

    Example:
        >>> AxialAttention(512)(tf.zeros([1, 33, 33, 2048])).shape
        TensorShape([1, 33, 33, 512])
    """

    def __init__(
        self,
        filters: int,
        key_filters: int = 64,
        *,
        norm: Norm | None = keras.layers.BatchNormalization,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require_positive(filters=filters, key_filters=key_filters)
        self.filters, self.key_filters, self.make_norm = filters, key_filters, deserialize_norm(norm)
        shared = {"norm": self.make_norm, "dtype": self.dtype_policy}
        self.theta = Pointwise(key_filters, **shared, name="theta")
        self.phi = Pointwise(key_filters, **shared, name="phi")
        self.value = Pointwise(filters, **shared, name="value")

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.theta, self.value, self.phi)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        columns = attend_columns(self.theta(features, training=training), self.value(features, training=training))
        return attend_rows(self.phi(features, training=training), columns)

    def attention_maps(self, features: Tensor) -> dict[str, Tensor]:
        """How pixels attend at inference (Eq. 3.3, 3.4): {"columns": [N, w, h, h], "rows": [N, h, w, w]}.

        The last axis is the position attended to; it sums to 1.
        """
        theta, phi = swap_axes(self.theta(features, training=False)), self.phi(features, training=False)
        return {"columns": attention_weights(theta, theta), "rows": attention_weights(phi, phi)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "key_filters": self.key_filters,
            "norm": serialize_norm(self.make_norm),
        }
