"""The transformations θ, φ and g: 1×1 convolutions, normalized or plain; what their arguments may be."""

from collections.abc import Callable, Sequence
from typing import Any

from deeplab_ksac.any_keras import CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.tensor_ops import Tensor

MOST_CHANNELS = 65_536  # of a map: a kernel between two such takes 16 GiB
MOST_LAYERS = 256  # in a row
NormFactory = Callable[..., keras.layers.Layer]  # called with a name
Norm = NormFactory | dict[str, Any]  # a factory, or what `serialize_norm` has made of it


def require_positive(most: int = MOST_CHANNELS, /, **arguments: Any) -> None:
    """Raises ValueError, naming the argument and its value, unless each is an integer from 1 to `most`."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
        if value > most:
            raise ValueError(f"{name} must be an integer of at most {most}, not {value!r}")


def serialize_norm(norm: NormFactory | None) -> dict[str, Any] | None:
    """The configuration from which `deserialize_norm` makes an equal factory; None stays None."""
    return None if norm is None else keras.layers.serialize(norm(name="norm"))


def deserialize_norm(norm: Norm | None) -> NormFactory | None:
    """A normalization factory from a factory or None (returned as they are) or from `serialize_norm`'s
    dict."""
    if not isinstance(norm, dict):
        return norm
    layer = keras.layers.deserialize(norm)
    config = {key: value for key, value in layer.get_config().items() if key not in ("name", "dtype")}
    return lambda **kwargs: type(layer).from_config({**config, **kwargs})


def normalization(norm: Callable[..., keras.layers.Layer], dtype: keras.mixed_precision.Policy) -> keras.layers.Layer:
    """The layer "norm" that the factory makes, in the precision `dtype`; a factory is called with a name alone."""
    layer = norm(name="norm")
    if layer.dtype_policy.name == dtype.name:
        return layer
    return type(layer).from_config({**layer.get_config(), "dtype": dtype})


@keras.saving.register_keras_serializable("caa")
class Pointwise(CompositeLayer):
    """1×1 convolution, normalization, ReLU: [N, h, w, C] -> [N, h, w, filters].

    With `norm=None` it is the convolution alone, with a bias.
    """

    def __init__(self, filters: int, *, norm: Norm | None = keras.layers.BatchNormalization, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_positive(filters=filters)
        self.filters, self.make_norm = filters, deserialize_norm(norm)
        self.conv = keras.layers.Conv2D(
            filters, 1, data_format="channels_last", use_bias=norm is None, dtype=self.dtype_policy, name="conv"
        )
        self.norm = None if norm is None else normalization(self.make_norm, self.dtype_policy)

    def build(self, input_shape: Sequence[int | None]) -> None:
        build_on_keras_3(input_shape, self.conv)
        if self.norm is not None:
            build_on_keras_3(with_channels(input_shape, self.filters), self.norm)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        transformed = self.conv(features)
        if self.norm is None:
            return transformed
        return keras.activations.relu(self.norm(transformed, training=training))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "norm": serialize_norm(self.make_norm)}
