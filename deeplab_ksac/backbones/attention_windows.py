"""Windows of pixels: cutting a map of any size into them and joining them again; relative positions inside one."""

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.layers import spatial_size


def window_margins(size: int | tf.Tensor, window: int, shift: int) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Pixels (before, after) that complete a side of `size` pixels to whole windows.

    Shifted windows begin at the pixels `shift`, `shift` + `window` …, with what lies before in one of their own. A side
    that fits into one window is never shifted. `size` is a Python integer or a scalar tensor, and so are the results.
    """
    before = -shift % window
    if before and isinstance(size, int):
        before = before if size > window else 0
    elif before:
        before = tf.where(size > window, before, 0)
    # of whole numbers that are not negative, whose division no converter rounds otherwise
    return before, (window - 1) - (size + before + window - 1) % window


def partition(x: tf.Tensor, margins: tuple, window: int) -> tf.Tensor:
    """[N, h, w, C] -> [N, windows, window², C], row by row, with zeros in the `margins` of both sides."""
    x = tf.pad(x, [[0, 0], margins[0], margins[1], [0, 0]])
    height, width = spatial_size(x)
    rows, columns, channels = height // window, width // window, x.shape[-1]
    x = tf.reshape(x, [_batch(x), rows, window, columns, window, channels])
    return tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [_batch(x), rows * columns, window * window, channels])


def unite(windows: tf.Tensor, margins: tuple, size: tuple[int | tf.Tensor, int | tf.Tensor], window: int) -> tf.Tensor:
    """What `partition` has cut, put together again without the margins: [N, windows, window², C] -> [N, h, w, C]."""
    (top, bottom), (left, right) = margins
    rows, columns = (top + size[0] + bottom) // window, (left + size[1] + right) // window
    batch, channels = _batch(windows), windows.shape[-1]
    x = tf.reshape(windows, [batch, rows, columns, window, window, channels])
    x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
    x = tf.reshape(x, [batch, rows * window, columns * window, channels])
    return x[:, top : top + size[0], left : left + size[1]]


def split_heads(windows: tf.Tensor, count: int, heads: int) -> list[tf.Tensor]:
    """`count` tensors that lie side by side, by heads: [N, windows, L, count · C] -> count × [N, windows, heads, L, C /
    heads]."""
    depth = windows.shape[-1] // (count * heads)
    x = tf.reshape(windows, [*_windows(windows), count, heads, depth])
    return tf.unstack(tf.transpose(x, [3, 0, 1, 4, 2, 5]), count)


def join_heads(x: tf.Tensor) -> tf.Tensor:
    """The heads side by side: [N, windows, heads, L, C] -> [N, windows, L, heads · C]."""
    x = tf.transpose(x, [0, 1, 3, 2, 4])
    return tf.reshape(x, [*_windows(x), x.shape[3] * x.shape[4]])


def margin_mask(margins: tuple, size: tuple[int | tf.Tensor, int | tf.Tensor], window: int) -> tf.Tensor:
    """−10⁹ for the pixels of the margins and 0 for those of the map: [1, windows, 1, 1, window²] float32."""
    inside = partition(tf.ones([1, *size, 1]), margins, window)
    return tf.transpose((inside - 1.0) * 1e9, [0, 1, 3, 2])[:, :, tf.newaxis]


def relative_positions(window: int) -> np.ndarray:
    """Rows of a table of (2 · window − 1)² offsets for every pair of pixels of a window: integers [window²]².

    The offset of pixel i to pixel j, (dy, dx), has the row (dy + window − 1) · (2 · window − 1) + dx + window − 1.
    """
    pixels = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij"), axis=-1).reshape(-1, 2)
    offsets = pixels[:, np.newaxis] - pixels[np.newaxis] + window - 1
    return offsets[..., 0] * (2 * window - 1) + offsets[..., 1]


def resize_position_bias(table: np.ndarray, window: int) -> np.ndarray:
    """A table of relative position bias for another window: [(2a − 1)², heads] -> [(2 · window − 1)², heads].

    As timm does it: the given offsets are laid at distances that grow geometrically from 1, so that near positions
    keep their bias and far ones are spread to the larger window's end; between them it is linear, along each axis.
    In a smaller window little more than the middle of the table is left. A table that belongs to no square window
    comes back as it is.
    """
    given, wanted = round(len(table) ** 0.5), 2 * window - 1
    if table.ndim != 2 or given**2 != len(table) or given == wanted:
        return table
    places = _geometric_places(given // 2, wanted // 2)
    weights = np.stack([np.interp(np.arange(wanted) - wanted // 2, places, unit) for unit in np.eye(given)], axis=-1)
    resized = np.einsum("yi,xj,ijh->yxh", weights, weights, table.reshape(given, given, -1).astype(np.float64))
    return resized.reshape(wanted**2, -1).astype(table.dtype)


def _geometric_places(steps, reach):
    """Where −steps … steps lie, so that `steps` distances 1, q, q², … add up to `reach`, with q in 1.01 … 1.5."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (ratio**steps - 1) / (ratio - 1) > reach:
            high = ratio
        else:
            low = ratio
    right = np.cumsum(ratio ** np.arange(steps))
    return np.concatenate([-right[::-1], [0.0], right])


def _batch(x):
    """The number of images: a Python integer where it is known."""
    return _sizes(x, 1)[0]


def _windows(x):
    """The sides [N, windows, L] of a tensor for a reshape, where it is left to the reshape how many windows there are.

    ONNX's converter joins two reshapes, and would ask the input of the first for the number.
    """
    batch, _, length = _sizes(x, 3)
    return batch, -1 if x.shape[1] is None else x.shape[1], length


def _sizes(x, count):
    """The first `count` sides of a tensor: Python integers where they are known, scalar tensors where not."""
    static, dynamic = x.shape, tf.shape(x)
    return [dynamic[axis] if static[axis] is None else static[axis] for axis in range(count)]
