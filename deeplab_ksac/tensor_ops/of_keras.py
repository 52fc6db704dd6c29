"""The operations of `deeplab_ksac.tensor_ops` by `keras.ops`: for JAX and PyTorch, which know all sizes.

Gradients are the backends' own. Where `keras.ops` would compute in float32 what is float64, as its `matmul`, `maximum`
and `mean` do, Python's operators stand here.
"""

import contextlib
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.any_keras import BACKEND, keras

Array = Any  # jax.Array or torch.Tensor

any = keras.ops.any
arange = keras.ops.arange
argmax = keras.ops.argmax
bias_add = keras.ops.add
broadcast_to = keras.ops.broadcast_to
cast = keras.ops.cast
concatenate = keras.ops.concatenate
convert_to_tensor = keras.ops.convert_to_tensor
eye = keras.ops.eye
floor = keras.ops.floor
leaky_relu = keras.ops.leaky_relu
max = keras.ops.max
newaxis = None
ones_like = keras.ops.ones_like
pad = keras.ops.pad
recomputed = keras.remat
relu = keras.ops.relu
reshape = keras.ops.reshape
shape = keras.ops.shape
sigmoid = keras.ops.sigmoid
square = keras.ops.square
stack = keras.ops.stack
static_shape = keras.ops.shape
stop_gradient = keras.ops.stop_gradient
sum = keras.ops.sum
take = keras.ops.take
transpose = keras.ops.transpose
where = keras.ops.where
zeros_like = keras.ops.zeros_like


def at_least_float32(x: Array) -> Array:
    """As `of_tensorflow`, like all that follow."""
    return cast(x, "float32") if item_bytes(x) < 4 else x


def dtype_name(x: Array) -> str:
    return keras.backend.standardize_dtype(x.dtype)


def item_bytes(x: Array) -> int:
    return x.dtype.itemsize


def identity(x: Array) -> Array:
    return x


def set_shape(x: Array, sizes: Sequence[int | None]) -> Array:
    return x


def ensure_shape(x: Array, sizes: Sequence[int | None]) -> Array:
    return x


def join_shapes(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return (*one, *other)


def control_dependencies(tensors: Sequence[Array]) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def do_not_convert(function: Callable) -> Callable:
    return function


def custom_gradient(function: Callable) -> Callable:
    """The function without the gradient that it returns beside its results."""
    return functools.wraps(function)(lambda *arguments: function(*arguments)[0])


def is_concrete(x: Array) -> bool:
    """Whether x has values already: outside of what is compiled, and of what Keras only asks for its shape."""
    if BACKEND == "jax":
        import jax  # only where it is the backend

        return not isinstance(x, jax.core.Tracer)
    return x.device.type != "meta"


def asserted(x: Array, checks: Sequence[tuple[Array, list]]) -> Array:
    """x: what is compiled for JAX has no assertions."""
    return x


def abs(x: Array) -> Array:
    """|x|, whose slope at 0 is 0; JAX's own is 1."""
    return x * stop_gradient(keras.ops.sign(x))


def add_n(tensors: Sequence[Array]) -> Array:
    return functools.reduce(operator.add, tensors)


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    a = keras.ops.swapaxes(a, -1, -2) if transpose_a else a
    return a @ (keras.ops.swapaxes(b, -1, -2) if transpose_b else b)


def maximum(x: Array, y: Any) -> Array:
    return where(x > y, x, cast(y, x.dtype))


def minimum(x: Array, y: Any) -> Array:
    return where(x < y, x, cast(y, x.dtype))


def clip(x: Array, least: Any, most: Any) -> Array:
    return minimum(maximum(x, least), most)


def divide_no_nan(x: Array, y: Array) -> Array:
    divisor = where(y == 0, ones_like(y), y)
    return where(y == 0, zeros_like(x), x / divisor)


def mean(x: Array, axis: int | tuple[int, ...], keepdims: bool = False) -> Array:
    sizes = [x.shape[one] for one in ((axis,) if isinstance(axis, int) else axis)]
    return sum(x, axis=axis, keepdims=keepdims) / math.prod(sizes)


def softmax(x: Array) -> Array:
    """Over the last axis."""
    return ones_like(x) if x.shape[-1] == 1 else keras.ops.softmax(x)  # of one number Keras warns


def l2_normalize(x: Array, axis: int) -> Array:
    return x * keras.ops.rsqrt(maximum(sum(square(x), axis=axis, keepdims=True), 1e-12))


def class_mask(labels: Array, num_classes: int) -> Array:
    return convert_to_tensor(labels)[..., newaxis] == arange(num_classes)


def one_hot(labels: Array, num_classes: int, dtype: Any) -> Array:
    return cast(class_mask(labels, num_classes), dtype)


def gather_per_group(x: Array, indices: Array) -> Array:
    return keras.ops.take_along_axis(x, indices[..., newaxis], axis=1)


def segment_sum(values: Array, segments: Array, count: int) -> Array:
    if BACKEND == "torch":  # whose keras.ops.segment_sum rounds to float32
        return keras.ops.zeros([count, *values.shape[1:]], values.dtype).index_add(0, segments, values)
    return keras.ops.segment_sum(values, segments, count)


def map_in_turn(function: Callable, blocks: Array, sizes: Sequence[int | None], dtype: Any) -> Array:
    return keras.ops.map(function, blocks)


def sum_over_replicas(x: Array) -> Array:
    """x itself: with JAX's `keras.distribution` a batch is that of all devices; with PyTorch each process has one."""
    return x


def replica() -> None:
    return None


def average_pool(x: Array, side: int) -> Array:
    height, width, channels = x.shape[1:]
    paddings = [_padding(size, side) for size in (height, width)]
    squares = pad(x, [[0, 0], *paddings, [0, 0]])
    down, across = (squares.shape[axis] // side for axis in (1, 2))
    sums = sum(reshape(squares, [-1, down, side, across, side, channels]), axis=(2, 4))
    rows, columns = (
        np.pad(np.ones(size), padding).reshape([-1, side]).sum(axis=1)
        for size, padding in zip((height, width), paddings, strict=True)
    )
    return sums / convert_to_tensor(np.outer(rows, columns)[..., np.newaxis], dtype_name(x))


def _padding(size, side):
    """What "SAME" adds before and after, the larger part after."""
    total = -size % side
    return [total // 2, total - total // 2]


def resize_nearest(images: Array, size: tuple[int, int]) -> Array:
    for axis, (old, new) in enumerate(zip(images.shape[1:3], size, strict=True), start=1):
        steps = 2 if new == 1 else 2 * (new - 1)
        nearest = (2 * np.arange(new) * (old - 1) + steps // 2) // steps
        images = take(images, nearest.astype("int32"), axis=axis)
    return images


def resize_bilinear(images: Array, size: tuple[int, int]) -> Array:
    x = at_least_float32(images)
    (_, height, width, channels), (down, across) = x.shape, size
    rows, columns = (
        convert_to_tensor(_interpolation(old, new), dtype_name(x)) for old, new in ((height, down), (width, across))
    )
    resized = matmul(rows, reshape(x, [-1, height, width * channels]))
    return matmul(columns, reshape(resized, [-1, down, width, channels]))


def _interpolation(old, new):
    """The matrix [new, old] that interpolates along one side, its first and last pixel being those of the old one."""
    places = np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)
    return np.maximum(0, 1 - np.abs(places[:, np.newaxis] - np.arange(old)))


def conv2d(x: Array, kernel: Array, strides: Sequence[int], padding: str, atrous_rates: Sequence[int]) -> Array:
    return _convolve(keras.ops.conv, x, kernel, strides, padding, atrous_rates)


def depthwise_conv2d(
    x: Array,
    kernel: Array,
    strides: Sequence[int],
    padding: str,
    atrous_rates: Sequence[int],
    training: bool | None = False,
) -> Array:
    return _convolve(keras.ops.depthwise_conv, x, kernel, strides, padding, atrous_rates)


def atrous_conv2d(x: Array, kernel: Array, atrous_rate: int | Sequence[int], padding: str = "SAME") -> Array:
    rates = (atrous_rate, atrous_rate) if isinstance(atrous_rate, int) else tuple(atrous_rate)
    return conv2d(x, kernel, (1, 1), padding, rates)


def _convolve(operation, x, kernel, strides, padding, atrous_rates):
    arguments = {"strides": tuple(strides), "padding": padding.lower(), "dilation_rate": tuple(atrous_rates)}
    return operation(x, kernel, data_format="channels_last", **arguments)
