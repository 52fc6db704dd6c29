"""Kernel-sharing atrous convolution with rates of its own: fractional, learned or found for each picture. Experimental.

Sect. 2.5 leaves this as future work: rates that are set by hand "cannot handle scenarios where the data are
significantly different from the training dataset", and might be generated "during run-time based on axial pixel
representations".

The nine products of the shared kernel (`shared_products`) do not depend on the rate, only the places do where they are
added. Between two whole rates the result is interpolated:

    out_r = (1 − t) · out_⌊r⌋ + t · out_⌊r⌋+1,    t = r − ⌊r⌋

It is that of the fixed form at whole rates, and its slope there and between them is out_⌊r⌋+1 − out_⌊r⌋, by which a
rate is learned like any weight. There is nothing more to multiply than these two factors. What costs is that each
product is read twice for each rate, from places that are known only when it runs. So all products lie in one table, a
row of zeros for what is outside the map at its end, and each tap is one look-up; nothing is moved or padded.

What it gains and loses is in docs/claims.md. Names and arguments may change.
"""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.any_keras import UNCAST, CompositeLayer, build_on_keras_3, keras, with_channels
from deeplab_ksac.arguments import LARGEST_RATE, check_channels, in_interval
from deeplab_ksac.layers import BatchNorm, deserialize_norm, serialize_norm, spatial_size
from deeplab_ksac.layers.arguments import check_atrous_rates
from deeplab_ksac.layers.norm import Norm
from deeplab_ksac.shared_products import matrix, product_gradients
from deeplab_ksac.tensor_ops import Tensor, ops

SOURCES = ("learned", "dynamic")
SPEED = 16.0  # pixels by which a rate moves where its weight moves by 1, so that a usual learning rate moves it at all


@ops.do_not_convert
def fractional_atrous_products(features: Tensor, kernel: Tensor, rates: Tensor) -> list[Tensor]:
    """The shared kernel's convolutions at rates that are no whole numbers, at the multiply-adds of one.

    features [N, h, w, I], kernel [3, 3, I, C], rates [N, R] of at least 0, R known, float32 or float64 -> R maps
    [N, h, w, C]. Any size, static or not; rates may exceed it. Differentiable in all three.
    """
    shape = [*features.shape[:3], kernel.shape[-1]]

    @ops.custom_gradient
    def products(features, kernel, rates):
        outputs, slopes = forward(features, kernel, rates)

        def gradient(*upstream):
            return backward(features, kernel, rates, upstream, slopes)

        return outputs, gradient

    return [ops.ensure_shape(output, shape) for output in products(features, ops.convert_to_tensor(kernel), rates)]


def forward(features, kernel, rates):
    """The maps of each rate, and their slopes in it: the maps of the whole rate above less those of the one below."""
    outputs, slopes, taken = [], [], []
    table = _products(features, kernel)
    for share, *sides in _places(features, rates):
        for places in sides:
            taken.append(_look_up([(table, 9 * place + tap) for tap, place in enumerate(places)], after=taken[-1:]))
        lower, upper = taken[-2:]
        slopes.append(upper - lower)
        output = lower + share * slopes[-1]
        outputs.append(ops.reshape(output, ops.join_shapes(ops.shape(features)[:3], [kernel.shape[-1]])))
    return outputs, slopes


def backward(features, kernel, rates, upstream, slopes):
    """Gradients of features, kernel and rates. A tap's product has gone where the opposite tap would read."""
    arriving, of_rates, gathered = [], [], []
    for (share, below, above), gradient, slope in zip(_places(features, rates), upstream, slopes, strict=True):
        gradient = _flat(gradient)
        of_rates.append(ops.sum(ops.at_least_float32(gradient * slope), axis=(1, 2)))
        upper = share * gradient
        arriving.extend([(_with_zero(gradient - upper), below), (_with_zero(upper), above)])
    for opposite in reversed(range(9)):
        gathered.append(_look_up([(maps, places[opposite]) for maps, places in arriving], after=gathered[-1:]))
    of_features, of_kernel = product_gradients(features, kernel, ops.concatenate(gathered, axis=-1))
    return of_features, of_kernel, ops.cast(ops.stack(of_rates, axis=1), rates.dtype)


def _look_up(reads, after):
    """The sum of what lies at each table's places, taken only after other results, so that few are held at a time."""
    with ops.control_dependencies(after):
        return ops.add_n([ops.gather_per_group(table, places) for table, places in reads])


def _places(maps, rates):
    """For each rate its share of the whole rate above [N, 1, 1], and where the taps read at those below and above.

    The places are int32, for each of the nine taps [N, h · w], with h · w where a tap is outside the map. No tensor has
    more than four axes and none is made longer by slicing, which TensorFlow Lite could not follow.
    """
    below = ops.stop_gradient(ops.floor(rates))
    whole = ops.cast(below, "int32")
    whole = ops.reshape(ops.stack([whole, whole + 1], axis=2), [-1, 1, 1])
    height, width = spatial_size(maps)
    rows, is_row = (ops.reshape(each, [-1, 3 * height, 1]) for each in _along(height, whole))
    columns, is_column = (ops.reshape(each, [-1, 1, 3 * width]) for each in _along(width, whole))
    places = ops.where(is_row & is_column, rows * width + columns, height * width)
    places = ops.reshape(places, [-1, 2 * rates.shape[1], 3 * height, 3 * width])
    found = []
    for index in range(rates.shape[1]):
        share = ops.reshape(ops.cast(rates[:, index] - below[:, index], maps.dtype), [-1, 1, 1])
        found.append((share, *(_taps(places[:, 2 * index + side], height, width) for side in (0, 1))))
    return found


def _taps(places, height, width):
    """[N, 3 · h, 3 · w] -> nine of [N, h · w]."""
    rows = [places[:, a * height : (a + 1) * height] for a in range(3)]
    return [ops.reshape(row[:, :, b * width : (b + 1) * width], [-1, height * width]) for row in rows for b in range(3)]


def _along(size, rates):
    """Where three taps at whole rates [n, 1, 1] read along an axis, and whether that is on it: both [n, 3, size]."""
    positions = ops.arange(size) + rates * ops.reshape(ops.arange(-1, 2), [3, 1])
    return positions, (positions >= 0) & (positions < size)


def _products(features, kernel):
    """[N, (h · w + 1) · 9, C]: the nine products of each position side by side, those of a position of zeros last."""
    channels, filters = kernel.shape[2:]
    taps = ops.reshape(ops.transpose(kernel, [2, 0, 1, 3]), [channels, 9 * filters])
    products = ops.matmul(matrix(_with_zero(_flat(features))), taps)
    return ops.reshape(products, ops.join_shapes(ops.shape(features)[:1], [-1, filters]))


def _flat(maps):
    """[N, h, w, C] -> [N, h · w, C]."""
    size = ops.shape(maps)
    return ops.reshape(maps, [size[0], size[1] * size[2], maps.shape[-1]])


def _with_zero(positions):
    """[N, n, C] -> [N, n + 1, C], the last one zeros."""
    return ops.pad(positions, [[0, 0], [0, 1], [0, 0]])


def bounded(rates: Tensor, least: float, most: float) -> Tensor:
    """Rates drawn into [least, most]; the gradient passes, so that one at a bound can come back."""
    return rates + ops.stop_gradient(ops.clip(rates, least, most) - rates)


@keras.saving.register_keras_serializable("deeplab_ksac")
class ExperimentalKernelSharingAtrousConv(CompositeLayer):
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
