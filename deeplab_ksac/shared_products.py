"""One 3×3 kernel at several atrous rates for the multiply-adds of one: the products are shared, only places differ.

Every rate multiplies the same features by the same nine taps K[a, b]; the rate r only decides where each product is
added:

    out_r[i, j] = Σ_{a, b ∈ -1, 0, 1} (X · K[a, b])[i + r·a, j + r·b]          (zero outside the map)

So the nine products are computed once, whatever the number of rates, and each only at the positions from which the
smallest rate reaches the map (the other rates' positions lie inside these). Rows lead in memory while they are cut
out, so that a span of rows is a view and not a copy. The gradient is written out because the backward pass has the
same form: one product with all nine taps side by side for the features, nine for the kernel.
"""

import tensorflow as tf

from deeplab_ksac.layers import spatial_size

TAPS = tuple((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1))


def span(distance, size):
    """Begin and end of the positions p in 0…size-1 for which p - distance lies there too."""
    if isinstance(size, int):
        distance = max(-size, min(distance, size))
        return max(distance, 0), size + min(distance, 0)
    distance = tf.clip_by_value(distance, -size, size)
    return tf.maximum(distance, 0), size + tf.minimum(distance, 0)


def is_empty(begin, end):
    """Whether a span is known to hold no position."""
    return isinstance(begin, int) and isinstance(end, int) and begin >= end


class Reach:
    """Where each tap of a kernel reads and writes on a map of `size` (h, w), at each rate."""

    def __init__(self, size, atrous_rates):
        self.height, self.width = size
        self.rates = atrous_rates
        self.nearest = min(atrous_rates)

    def source(self, tap, rate=None):
        """(top, bottom, left, right) of the products of `tap` that the rate (default: any rate) adds somewhere."""
        rate = self.nearest if rate is None else rate
        return (*span(tap[0] * rate, self.height), *span(tap[1] * rate, self.width))

    def target(self, tap, rate):
        """(top, bottom, left, right) of the outputs to which they are added."""
        return (*span(-tap[0] * rate, self.height), *span(-tap[1] * rate, self.width))

    def branches(self):
        """(branch, rate, tap) of all that adds anything; a far tap of a large rate may lie outside the map."""
        for branch, rate in enumerate(self.rates):
            for tap in TAPS:
                top, bottom, left, right = self.source(tap, rate)
                if not (is_empty(top, bottom) or is_empty(left, right)):
                    yield branch, rate, tap


def cut(maps, window, origin=(0, 0)):
    """A window of [h, N, w, C] maps whose first pixel is `origin` of the frame that the window is given in."""
    top, bottom, left, right = window
    return maps[top - origin[0] : bottom - origin[0], :, left - origin[1] : right - origin[1]]


def place(maps, window, frame):
    """Sets maps that fill `window` into a larger `frame` of zeros."""
    (top, bottom, left, right), (first, last, start, stop) = window, frame
    return tf.pad(maps, [[top - first, last - bottom], [0, 0], [left - start, stop - right], [0, 0]])


def matrix(maps):
    """[…, C] -> [positions, C]."""
    return tf.reshape(maps, [-1, maps.shape[-1]])


def rows_first(maps):
    """[N, h, w, C] -> [h, N, w, C] and back."""
    return tf.transpose(maps, [1, 0, 2, 3])


def shared_atrous_products(features, kernel, atrous_rates):
    """The shared kernel's convolutions at all rates, at the multiply-adds of one rate.

    features [N, h, w, I], kernel [3, 3, I, C] -> one [N, h, w, C] for each rate. Any size, static or not; rates may
    exceed it.
    """
    reach = Reach(spatial_size(features), tuple(atrous_rates))
    shape = [*features.shape[:3], kernel.shape[-1]]

    @tf.custom_gradient
    def products(features, kernel):
        outputs = forward(features, kernel, reach)

        def gradient(*upstream):
            return backward(features, kernel, upstream, reach)

        return outputs, gradient

    return [tf.ensure_shape(output, shape) for output in products(features, tf.convert_to_tensor(kernel))]


def windows(features, reach):
    """The features that each tap has to be multiplied by: {tap: [rows, N, columns, I]}."""
    frame = rows_first(features)
    columns = {b: frame[:, :, slice(*span(b * reach.nearest, reach.width))] for b in (-1, 0, 1)}
    return {(a, b): columns[b][slice(*span(a * reach.nearest, reach.height))] for a, b in TAPS}


def forward(features, kernel, reach):
    """One product for each tap, added at each rate's places."""
    products = {}
    for tap, window in windows(features, reach).items():
        product = tf.matmul(matrix(window), kernel[tap[0] + 1, tap[1] + 1])
        products[tap] = tf.reshape(product, tf.concat([tf.shape(window)[:3], [kernel.shape[-1]]], 0))
    frame = (0, reach.height, 0, reach.width)
    added = [[] for _ in reach.rates]
    for branch, rate, tap in reach.branches():
        origin = reach.source(tap)[::2]
        moved = cut(products[tap], reach.source(tap, rate), origin)
        added[branch].append(place(moved, reach.target(tap, rate), frame))
    return [rows_first(tf.add_n(parts)) for parts in added]


def backward(features, kernel, upstream, reach):
    """Gradients of features and kernel: the rates' gradients are gathered at the taps first, then multiplied once."""
    frame = (0, reach.height, 0, reach.width)
    gathered = {tap: [] for tap in TAPS}
    arriving = [rows_first(gradient) for gradient in upstream]
    for branch, rate, tap in reach.branches():
        arrived = cut(arriving[branch], reach.target(tap, rate))
        gathered[tap].append(place(arrived, reach.source(tap, rate), reach.source(tap)))
    inputs, channels, filters = windows(features, reach), features.shape[-1], kernel.shape[-1]
    kernel_gradient, placed = [], []
    for tap in TAPS:
        if not gathered[tap]:
            kernel_gradient.append(tf.zeros([channels, filters], kernel.dtype))
            placed.append(tf.zeros_like(arriving[0]))
            continue
        total = tf.add_n(gathered[tap])
        kernel_gradient.append(tf.matmul(matrix(inputs[tap]), matrix(total), transpose_a=True))
        placed.append(place(total, reach.source(tap), frame))
    taps = tf.reshape(tf.transpose(kernel, [0, 1, 3, 2]), [9 * filters, channels])
    side_by_side = tf.concat(placed, axis=-1)
    feature_gradient = tf.reshape(
        tf.matmul(matrix(side_by_side), taps), tf.concat([tf.shape(side_by_side)[:3], [channels]], 0)
    )
    return rows_first(feature_gradient), tf.reshape(tf.stack(kernel_gradient), [3, 3, channels, filters])
