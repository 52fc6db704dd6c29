"""One 3×3 kernel at several atrous rates for the multiply-adds of one: the products are shared, only places differ.

In one dimension, five pixels and a kernel of three taps:

    X = 1 2 3 4 5        K[-1], K[0], K[1] = 1, 10, 100

Each pixel times each tap, 15 multiplications:

    X · K[-1] =   1   2   3   4   5
    X · K[0]  =  10  20  30  40  50
    X · K[1]  = 100 200 300 400 500

At rate 1 a pixel adds the first row's number to the left of it, the second's under it, the third's to the right of it;
at rate 2 it adds those two pixels away. Zero is added where that is outside the map. There is nothing left to multiply,
whatever the number of rates; the digits of a result say which pixels it has read:

    rate 1:  210 321 432 543  54       321 = 1 + 20 + 300: the pixels 1, 2, 3
    rate 2:  310 420 531  42  53       531 = 1 + 30 + 500: the pixels 1, 3, 5

    >>> X = ops.reshape([1.0, 2.0, 3.0, 4.0, 5.0], [1, 1, 5, 1])
    >>> K = ops.reshape([0.0, 0.0, 0.0, 1.0, 10.0, 100.0, 0.0, 0.0, 0.0], [3, 3, 1, 1])
    >>> for out in shared_atrous_products(X, K, atrous_rates=(1, 2)):
    ...     print(*(int(value) for value in ops.reshape(out, [5])))
    210 321 432 543 54
    310 420 531 42 53

In two dimensions there are nine products, one for each of the taps K[a, b], matrices over the channels:

    out_r[i, j] = Σ_{a, b ∈ -1, 0, 1} (X · K[a, b])[i + r·a, j + r·b]          (zero outside the map)

Each is computed only at the positions from which the smallest rate reaches the map (the other rates' positions are
among these). Rows lead in memory while they are cut out, so that a span of rows is a view and not a copy. The gradient
is written out because the backward pass has the same form, and a simpler one: what arrives at the nine taps side by
side, one product for the features, one for the kernel.
"""

import itertools
from collections.abc import Sequence

from deeplab_ksac.layers import spatial_size
from deeplab_ksac.tensor_ops import Tensor, ops

TAPS = tuple((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1))


def span(distance, size):
    """Begin and end of the positions p in 0…size-1 for which p - distance lies there too."""
    if not distance:
        return 0, size
    if isinstance(size, int):
        distance = max(-size, min(distance, size))
        return max(distance, 0), size + min(distance, 0)
    distance = ops.clip(distance, -size, size)
    return ops.maximum(distance, 0), size + ops.minimum(distance, 0)


def overlap(window, band):
    """The part of a span of rows that lies in a band; the span itself where either is unknown."""
    if not all(isinstance(edge, int) for edge in (*window, *band)):
        return window
    return max(window[0], band[0]), min(window[1], band[1])


def equal(window, other):
    """Whether two windows are known to be the same, by their numbers or by being the same tensors."""
    return all(
        edge is limit or (isinstance(edge, int) and isinstance(limit, int) and edge == limit)
        for edge, limit in zip(window, other, strict=True)
    )


def difference(edge, other):
    """edge - other, without an operation where none is needed."""
    if edge is other:
        return 0
    return edge if isinstance(other, int) and other == 0 else edge - other


def is_empty(top, bottom, left, right):
    """Whether a window is known to hold no position."""
    spans = ((top, bottom), (left, right))
    return any(isinstance(begin, int) and isinstance(end, int) and begin >= end for begin, end in spans)


class Reach:
    """Where each tap of a kernel reads and writes on a map of `size` (h, w), at each rate.

    A span is made once, since it is several operations on a map of unknown size, and many taps and rates have the same.
    It belongs to the graph that asks first, so that forward and backward pass have a `Reach` each.
    """

    def __init__(self, size, atrous_rates):
        self.height, self.width = size
        self.rates = atrous_rates
        self.nearest = min(atrous_rates)
        self.frame = (0, self.height, 0, self.width)
        self._spans = {}

    def source(self, tap, rate=None):
        """(top, bottom, left, right) of the products of `tap` that the rate (default: any rate) adds somewhere."""
        rate = self.nearest if rate is None else rate
        return (*self.rows(tap[0] * rate), *self.columns(tap[1] * rate))

    def target(self, tap, rate):
        """(top, bottom, left, right) of the outputs to which they are added."""
        return (*self.rows(-tap[0] * rate), *self.columns(-tap[1] * rate))

    def rows(self, distance):
        """`span` of a distance down."""
        return self._span(distance, 0)

    def columns(self, distance):
        """`span` of a distance to the right."""
        return self._span(distance, 1)

    def _span(self, distance, axis):
        key = (distance, axis)
        if key not in self._spans:
            self._spans[key] = span(distance, (self.height, self.width)[axis])
        return self._spans[key]

    def bands(self, rate):
        """Spans of rows, from the top, each of which every tap fills or leaves out; the whole of an unknown height."""
        edges = [0, self.height]
        if isinstance(self.height, int):
            edges = sorted({*edges, min(rate, self.height), max(self.height - rate, 0)})
        return list(itertools.pairwise(edges))

    def branches(self):
        """(branch, rate, tap) of all that adds anything; a far tap of a large rate may lie outside the map."""
        for branch, rate in enumerate(self.rates):
            for tap in TAPS:
                if not is_empty(*self.source(tap, rate)):
                    yield branch, rate, tap


def cut(maps, window, frame):
    """A window of [h, N, w, C] maps that fill `frame`."""
    if equal(window, frame):
        return maps
    (top, bottom, left, right), (first, _, start, _) = window, frame
    rows = slice(difference(top, first), difference(bottom, first))
    return maps[rows, :, difference(left, start) : difference(right, start)]


def place(maps, window, frame):
    """Sets maps that fill `window` into a larger `frame` of zeros."""
    if equal(window, frame):
        return maps
    (top, bottom, left, right), (first, last, start, stop) = window, frame
    rows = [difference(top, first), difference(last, bottom)]
    columns = [difference(left, start), difference(stop, right)]
    return ops.pad(maps, [rows, [0, 0], columns, [0, 0]])


def matrix(maps):
    """[…, C] -> [positions, C]."""
    return ops.reshape(maps, [-1, maps.shape[-1]])


def rows_first(maps):
    """[N, h, w, C] -> [h, N, w, C] and back."""
    return ops.transpose(maps, [1, 0, 2, 3])


@ops.do_not_convert
def shared_atrous_products(features: Tensor, kernel: Tensor, atrous_rates: Sequence[int]) -> list[Tensor]:
    """The shared kernel's convolutions at all rates, at the multiply-adds of one rate.

    features [N, h, w, I], kernel [3, 3, I, C] -> one [N, h, w, C] for each rate. Any size, static or not; rates may
    exceed it.
    """
    size, rates = spatial_size(features), tuple(atrous_rates)
    shape = [*features.shape[:3], kernel.shape[-1]]

    @ops.custom_gradient
    def products(features, kernel):
        outputs = forward(features, kernel, Reach(size, rates))

        def gradient(*upstream):
            return backward(features, kernel, upstream, Reach(size, rates))

        return outputs, gradient

    return [ops.ensure_shape(output, shape) for output in products(features, ops.convert_to_tensor(kernel))]


def column_window(rows, b, reach):
    """The columns of [h, N, w, I] that the taps of the kernel's column b read: [h, N, columns, I]."""
    return rows[:, :, slice(*reach.columns(b * reach.nearest))] if b else rows


def row_window(columns, a, reach):
    """The rows of [h, N, columns, I] that the taps of the kernel's row a read; a view."""
    return columns[slice(*reach.rows(a * reach.nearest))] if a else columns


def forward(features, kernel, reach):
    """One product for each tap, added at each rate's places, in an order that holds little at a time.

    The kernel's middle column comes last: it reads the features as they lie, the others a copy of a part of them.
    """
    rows, channels, weights = rows_first(features), kernel.shape[2], matrix(kernel)
    sums = [[[] for _ in reach.bands(rate)] for rate in reach.rates]
    before = []
    for b in (-1, 1, 0):
        with ops.control_dependencies(before):
            columns = column_window(rows, b, reach)
        products = {}
        for a in (-1, 0, 1):
            first = TAPS.index((a, b)) * channels
            products[a] = tap_product(row_window(columns, a, reach), weights[first : first + channels])
        before = list(products.values())
        for rate, summed in zip(reach.rates, sums, strict=True):
            for band, terms in zip(reach.bands(rate), summed, strict=True):
                terms[:] = total(terms + band_terms(products, b, rate, band, reach))
    return [rows_first(ops.concatenate([band for bands in summed for band in bands], 0)) for summed in sums]


def total(terms):
    """[their sum]; [] of none."""
    return [ops.add_n(terms)] if terms else []


def tap_product(window, weights):
    """[rows, N, columns, I] · [I, C] -> [rows, N, columns, C]."""
    product = ops.matmul(matrix(window), weights)
    return ops.reshape(product, ops.join_shapes(ops.shape(window)[:3], [weights.shape[-1]]))


def band_terms(products, b, rate, band, reach):
    """What the products {a: [rows, N, columns, C]} of the kernel's column b add to a band of one rate's rows.

    A list of [band, N, w, C]; empty where they lie outside the map.
    """
    left, right = reach.target((0, b), rate)[2:]
    parts = []
    for a, product in products.items():
        written, read = reach.target((a, b), rate)[:2], reach.source((a, b), rate)
        top, bottom = rows = overlap(written, band)
        source = read if rows is written else (top + a * rate, bottom + a * rate, *read[2:])
        if not is_empty(*source):
            moved = cut(product, source, reach.source((a, b)))
            parts.append(place(moved, (top, bottom, left, right), (*band, left, right)))
    if b == 0:
        return parts
    return [place(placed, (*band, left, right), (*band, 0, reach.width)) for placed in total(parts)]


def backward(features, kernel, upstream, reach):
    """Gradients of features and kernel, one product each: the rates' gradients are gathered at the taps first."""
    gathered = {tap: [] for tap in TAPS}
    arriving = [rows_first(gradient) for gradient in upstream]
    for branch, rate, tap in reach.branches():
        arrived = cut(arriving[branch], reach.target(tap, rate), reach.frame)
        gathered[tap].append(place(arrived, reach.source(tap, rate), reach.source(tap)))
    placed = [
        place(ops.add_n(parts), reach.source(tap), reach.frame) if parts else ops.zeros_like(arriving[0])
        for tap, parts in gathered.items()
    ]
    return product_gradients(features, kernel, rows_first(ops.concatenate(placed, axis=-1)))


def product_gradients(features, kernel, gathered):
    """Gradients of features [N, h, w, I] and kernel [3, 3, I, C] of what arrives at the nine products, by `TAPS`.

    Args:
        gathered: [N, h, w, 9 · C], the products' gradients side by side.
    """
    channels, filters = features.shape[-1], kernel.shape[-1]
    taps = ops.reshape(ops.transpose(kernel, [0, 1, 3, 2]), [9 * filters, channels])
    feature_gradient = ops.reshape(ops.matmul(matrix(gathered), taps), ops.shape(features))
    kernel_gradient = ops.matmul(matrix(features), matrix(gathered), transpose_a=True)
    return feature_gradient, ops.transpose(ops.reshape(kernel_gradient, [channels, 3, 3, filters]), [1, 2, 0, 3])
