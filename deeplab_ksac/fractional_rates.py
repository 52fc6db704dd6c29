"""Kernel-sharing atrous convolution with rates of its own: fractional, learned or found for each picture. Experimental.

Sect. 2.5 leaves this as future work: rates that are set by hand "cannot handle scenarios where the data are
significantly different from the training dataset", and might be generated "during run-time based on axial pixel
representations".

The nine products of the shared kernel (`shared_products`) do not depend on the rate, only the places do where they are
added. Between two whole rates the result is interpolated:

    out_r = (1 − t) · out_⌊r⌋ + t · out_⌊r⌋+1,    t = r − ⌊r⌋

It is that of the fixed form at whole rates, and its slope there and between them is out_⌊r⌋+1 − out_⌊r⌋, by which a
rate is learned like any weight. There is nothing more to multiply than these two factors; what costs is that the
products are moved twice for each rate, by distances that are known only when it runs.

No study has shown a gain yet (docs/claims.md), and names and arguments may change.
"""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.any_keras import UNCAST, build_on_keras_3, keras, with_channels
from deeplab_ksac.arguments import LARGEST_RATE, check_channels, in_interval
from deeplab_ksac.layers import BatchNorm, deserialize_norm, serialize_norm, spatial_size
from deeplab_ksac.layers.arguments import check_atrous_rates
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.tensor_ops import Tensor, ops

SOURCES = ("learned", "dynamic")
SPEED = 16.0  # pixels by which a rate moves where its weight moves by 1, so that a usual learning rate moves it at all


def moved(maps: Tensor, distances: Tensor, axis: int) -> Tensor:
    """Every position reads what lies so many pixels further along an axis, zero outside: [N, h, w, C], as it was.

    Args:
        maps: [N, h, w, C].
        distances: int32 [N], of either sign.
        axis: 1 for rows, 2 for columns.
    """

    @ops.custom_gradient
    def read(maps):
        return _moved(maps, distances, axis), lambda upstream: _moved(upstream, -distances, axis)

    return ops.ensure_shape(read(maps), maps.shape)


def _moved(maps, distances, axis):
    size = spatial_size(maps)[axis - 1]
    positions = ops.arange(size) + distances[:, ops.newaxis]
    inside = (positions >= 0) & (positions < size)
    taken = ops.take_per_image(maps, ops.clip(positions, 0, size - 1), axis)
    inside = inside[:, :, ops.newaxis, ops.newaxis] if axis == 1 else inside[:, ops.newaxis, :, ops.newaxis]
    return ops.where(inside, taken, ops.zeros_like(taken))


@ops.do_not_convert
def fractional_atrous_products(features: Tensor, kernel: Tensor, rates: Tensor) -> list[Tensor]:
    """The shared kernel's convolutions at rates that are no whole numbers, at the multiply-adds of one.

    features [N, h, w, I], kernel [3, 3, I, C], rates [N, R] of at least 0, R known, float32 or float64 -> R maps
    [N, h, w, C]. Any size, static or not; rates may exceed it. Differentiable in all three.
    """
    filters = kernel.shape[-1]
    columns = _products(features, kernel)
    below = ops.stop_gradient(ops.floor(rates))
    results = []
    for index in range(rates.shape[1]):
        whole = ops.cast(below[:, index], "int32")
        share = ops.cast(rates[:, index] - below[:, index], features.dtype)[:, ops.newaxis, ops.newaxis, ops.newaxis]
        lower, upper = (_added(columns, whole + more, filters) for more in (0, 1))
        results.append((1 - share) * lower + share * upper)
    return results


def _products(features, kernel):
    """The nine products, by column of the kernel: {b: [N, h, w, 3 · C]}, those of its rows side by side."""
    products = {}
    for b in (-1, 0, 1):
        taps = ops.concatenate([kernel[a + 1, b + 1] for a in (-1, 0, 1)], axis=-1)
        flat = ops.matmul(ops.reshape(features, [-1, features.shape[-1]]), taps)
        products[b] = ops.reshape(flat, ops.join_shapes(ops.shape(features)[:3], [taps.shape[-1]]))
        products[b] = ops.ensure_shape(products[b], [*features.shape[:3], taps.shape[-1]])
    return products


def _added(products, rate, filters):
    """What the products give at a whole rate for each picture, int32 [N]: [N, h, w, C]."""
    rows = ops.add_n([moved(products[b], b * rate, axis=2) if b else products[b] for b in (-1, 0, 1)])
    parts = {a: rows[..., (a + 1) * filters : (a + 2) * filters] for a in (-1, 0, 1)}
    return ops.add_n([moved(parts[a], a * rate, axis=1) if a else parts[a] for a in (-1, 0, 1)])


def bounded(rates: Tensor, least: float, most: float) -> Tensor:
    """Rates drawn into [least, most]; the gradient passes, so that one at a bound can come back."""
    return rates + ops.stop_gradient(ops.clip(rates, least, most) - rates)


@keras.saving.register_keras_serializable("deeplab_ksac")
class ExperimentalKernelSharingAtrousConv(keras.layers.Layer):
    """One 3×3 kernel at atrous rates that are learned, or found for each picture: [N, h, w, C] -> [N, h, w, filters].

    Experimental (Sect. 2.5). At its beginning it is `KernelSharingAtrousConv` with `atrous_rates`, merged by "sum":
    each rate has its own normalization, then ReLU.

        x = ExperimentalKernelSharingAtrousConv(256, (6, 12, 18), rates="dynamic")(x)

    Args:
        filters: output channels of the kernel.
        atrous_rates: at the beginning, in pixels of the feature map.
        rates: "learned", one set for the layer; or "dynamic", for each picture its own, from the means over its rows
            and columns: a hidden layer at every row and column, the mean of each over the picture, a linear layer.
        bounds: least and largest rate, at least 1.
        hidden: units of the hidden layer of "dynamic".
        norm: factory of the normalization layers.

    Raises:
        ValueError: filters or hidden below 1, no rates, rates outside the bounds, bounds that are none, or another
            source of rates.
    """

    def __init__(
        self,
        filters: int,
        atrous_rates: Sequence[int] = (6, 12, 18),
        *,
        rates: str = "learned",
        bounds: tuple[float, float] = (1.0, 36.0),
        hidden: int = 32,
        norm: Norm = BatchNorm(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels(filters=filters, hidden=hidden)
        if rates not in SOURCES:
            raise ValueError(f"rates must be one of {', '.join(SOURCES)}, not {rates!r}")
        self.filters, self.rates, self.hidden = filters, rates, hidden
        self.atrous_rates, self.bounds = check_atrous_rates(atrous_rates), check_bounds(bounds)
        if not self.bounds[0] <= min(self.atrous_rates) <= max(self.atrous_rates) <= self.bounds[1]:
            raise ValueError(f"atrous_rates must lie in the bounds {self.bounds}, not {self.atrous_rates}")
        self.make_norm = deserialize_norm(norm)
        self.norms = [
            self.make_norm(dtype=self.dtype_policy, name=f"norm_{index}_rate_{rate}")
            for index, rate in enumerate(self.atrous_rates)
        ]
        if rates == "dynamic":
            wide = {"dtype": self.variable_dtype}  # rates in half precision would be a pixel apart at 256
            self.axial = keras.layers.Dense(hidden, "relu", **wide, name="axial")
            self.offset = keras.layers.Dense(
                len(self.atrous_rates), kernel_initializer="zeros", **wide, name="rate_offset"
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=[3, 3, channels, self.filters], initializer="glorot_uniform")
        build_on_keras_3(with_channels(input_shape, self.filters), *self.norms)
        if self.rates == "learned":
            self.rate_offsets = self.add_weight(
                name="rate_offsets", shape=[len(self.atrous_rates)], initializer="zeros", **UNCAST
            )
        else:
            build_on_keras_3([input_shape[0], None, channels], self.axial)
            build_on_keras_3([input_shape[0], 2 * self.hidden], self.offset)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return with_channels(input_shape, self.filters)

    def rates_of(self, features: Tensor) -> Tensor:
        """The rates for each picture: [N, h, w, C] -> [N, R] in pixels, within the bounds, float32 at least."""
        features = ops.at_least_float32(features)
        if self.rates == "learned":
            offsets = ops.cast(self.rate_offsets, features.dtype)[ops.newaxis]
            offsets = ops.broadcast_to(offsets, [ops.shape(features)[0], len(self.atrous_rates)])
        else:
            axes = [self.axial(ops.mean(features, axis=axis)) for axis in (2, 1)]  # of each row, of each column
            offsets = self.offset(ops.concatenate([ops.mean(each, axis=1) for each in axes], axis=-1))
        first = ops.cast(ops.convert_to_tensor(list(map(float, self.atrous_rates))), offsets.dtype)
        return bounded(first + SPEED * offsets, *self.bounds)

    def call(self, features: Tensor, training: bool | None = None) -> Tensor:
        kernel = ops.cast(self.kernel, features.dtype)
        branches = fractional_atrous_products(features, kernel, self.rates_of(features))
        return ops.add_n(
            [ops.relu(norm(branch, training=training)) for branch, norm in zip(branches, self.norms, strict=True)]
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "atrous_rates": self.atrous_rates,
            "rates": self.rates,
            "bounds": self.bounds,
            "hidden": self.hidden,
            "norm": serialize_norm(self.make_norm),
        }


def check_bounds(bounds: Sequence[float]) -> tuple[float, float]:
    """Least and largest rate as floats; ValueError unless they are two numbers, 1 ≤ least ≤ largest."""
    pair = tuple(bounds) if isinstance(bounds, tuple | list) else ()
    if len(pair) != 2 or not all(in_interval(each, f"[1, {LARGEST_RATE}]") for each in pair) or pair[0] > pair[1]:
        raise ValueError(f"bounds must be the least and the largest rate, of 1 to {LARGEST_RATE}, not {bounds!r}")
    return float(pair[0]), float(pair[1])
