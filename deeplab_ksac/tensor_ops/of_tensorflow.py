"""The operations of `deeplab_ksac.tensor_ops` by TensorFlow: with Keras 2 and with Keras 3, for sizes known or not."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from deeplab_ksac.tensor_ops import atrous, depthwise

abs = tf.abs
add_n = tf.add_n
any = tf.reduce_any
arange = tf.range
argmax = tf.argmax
atrous_conv2d = atrous.atrous_conv2d
bias_add = tf.nn.bias_add
broadcast_to = tf.broadcast_to
cast = tf.cast
clip = tf.clip_by_value
concatenate = tf.concat
control_dependencies = tf.control_dependencies
convert_to_tensor = tf.convert_to_tensor
custom_gradient = tf.custom_gradient
depthwise_conv2d = depthwise.depthwise_conv2d
divide_no_nan = tf.math.divide_no_nan
do_not_convert = tf.autograph.experimental.do_not_convert
ensure_shape = tf.ensure_shape
eye = tf.eye
floor = tf.floor
identity = tf.identity
l2_normalize = tf.math.l2_normalize
leaky_relu = tf.nn.leaky_relu
matmul = tf.matmul
max = tf.reduce_max
maximum = tf.maximum
mean = tf.reduce_mean
minimum = tf.minimum
newaxis = tf.newaxis
one_hot = tf.one_hot
ones_like = tf.ones_like
pad = tf.pad
relu = tf.nn.relu
reshape = tf.reshape
segment_sum = tf.math.unsorted_segment_sum
shape = tf.shape
sigmoid = tf.sigmoid
softmax = tf.nn.softmax
square = tf.square
stack = tf.stack
stop_gradient = tf.stop_gradient
sum = tf.reduce_sum
take = tf.gather
transpose = tf.transpose
where = tf.where
zeros_like = tf.zeros_like


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """`x` in float32 if its type is narrower (mixed precision), else as it is."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def dtype_name(x: tf.Tensor) -> str:
    """ "float32", "int64" …"""
    return x.dtype.name


def item_bytes(x: tf.Tensor) -> int:
    """Bytes of one number of x."""
    return x.dtype.size


def static_shape(x: tf.Tensor) -> tuple[int | None, ...] | None:
    """The sizes that are known, None for those that are not; None altogether where their number is not."""
    return None if x.shape.rank is None else tuple(x.shape)


def set_shape(x: tf.Tensor, sizes: Sequence[int | None]) -> tf.Tensor:
    """x itself, once these of its sizes are known."""
    x.set_shape(sizes)
    return x


def join_shapes(one: tf.Tensor, other: Sequence[int]) -> tf.Tensor:
    """The sizes of two shapes, one after the other."""
    return tf.concat([one, other], 0)


def is_concrete(x: tf.Tensor) -> bool:
    """Whether x has values already: outside of graphs."""
    return tf.executing_eagerly()


def asserted(x: tf.Tensor, checks: Sequence[tuple[tf.Tensor, list]]) -> tf.Tensor:
    """x, after (condition, message) checks in a graph."""
    with tf.control_dependencies([tf.debugging.Assert(condition, message) for condition, message in checks]):
        return tf.identity(x)


def class_mask(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """`one_hot` in Booleans."""
    return tf.one_hot(labels, num_classes, on_value=True, off_value=False, dtype=tf.bool)


def gather_per_group(x: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """x [G, K, C], indices [G, Q] -> [G, Q, C]."""
    return tf.gather(x, indices, batch_dims=1)


def recomputed(function: Callable) -> Callable:
    """A function whose intermediate results the backward pass computes again. Here the gradients are written so."""
    return function


def map_in_turn(function: Callable, blocks: tf.Tensor, sizes: Sequence[int | None], dtype: tf.DType) -> tf.Tensor:
    """The function's results for x[0], x[1], …, one after the other; each is of these sizes and this type."""
    signature = tf.TensorSpec(sizes, dtype)
    return tf.map_fn(function, blocks, fn_output_signature=signature, parallel_iterations=1)


def sum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """The sum of x over the replicas, the same on each, differentiable; x itself outside of `strategy.run`."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def replica() -> int | None:
    """The number of the replica that calls; None with one replica, outside of `strategy.run`, and where one graph is
    that of all replicas (TPU)."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    number = tf.get_static_value(tf.convert_to_tensor(context.replica_id_in_sync_group))
    return None if number is None else int(number)


def average_pool(x: tf.Tensor, side: int) -> tf.Tensor:
    """Means over squares side by side, of the pixels that there are of those at the edge: "SAME" padding."""
    return tf.nn.avg_pool2d(x, side, side, "SAME")


def resize_nearest(images: tf.Tensor, size: tuple) -> tf.Tensor:
    """[N, H, W, C] -> [N, h, w, C], the nearest pixel with corners aligned."""
    return tf.raw_ops.ResizeNearestNeighbor(images=images, size=size, align_corners=True)


def resize_bilinear(images: tf.Tensor, size: tuple) -> tf.Tensor:
    """[N, H, W, C] -> [N, h, w, C], bilinear with corners aligned, in float32 at least."""
    return tf.raw_ops.ResizeBilinear(images=images, size=size, align_corners=True)


def conv2d(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str, atrous_rates: Sequence[int]
) -> tf.Tensor:
    """A convolution of [N, h, w, C] by [a, b, C, D]."""
    return tf.nn.conv2d(x, kernel, strides, padding, dilations=atrous_rates)
