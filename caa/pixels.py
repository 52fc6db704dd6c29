"""Self-attention over all pixels (Sect. 3.3.1.1), exact, within a bound of memory."""

import tensorflow as tf

from caa.axial import at_least_float32, attention_weights

MAP_BYTES = 2**28


def flatten_pixels(x: tf.Tensor) -> tf.Tensor:
    """[N, h, w, C] -> [N, h·w, C], with the number of pixels known where h and w are."""
    batch, height, width, channels = x.shape
    pixels = height * width if height and width else None
    return tf.ensure_shape(tf.reshape(x, [tf.shape(x)[0], -1, channels]), [batch, pixels, channels])


def unflatten_pixels(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[..., P, C] -> [N, h, w, C], with N, h and w those of `like` [N, h, w, any]."""
    shape = tf.shape(like)
    spread = tf.reshape(x, [shape[0], shape[1], shape[2], x.shape[-1]])
    return tf.ensure_shape(spread, [*like.shape[:3], x.shape[-1]])


@tf.custom_gradient
def _attend_block(query, key, value):
    """Attention whose backward pass computes the weights again instead of keeping them."""

    def gradient(upstream):
        weights = at_least_float32(attention_weights(query, key))
        toward_weights = at_least_float32(tf.matmul(upstream, value, transpose_b=True))
        mean = tf.reduce_sum(weights * toward_weights, axis=-1, keepdims=True)
        toward_energy = tf.cast(weights * (toward_weights - mean), query.dtype)
        return (
            tf.matmul(toward_energy, key),
            tf.matmul(toward_energy, query, transpose_a=True),
            tf.matmul(tf.cast(weights, value.dtype), upstream, transpose_a=True),
        )

    return tf.matmul(attention_weights(query, key), value), gradient


def attend_pixels(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, *, map_bytes: int | None = MAP_BYTES
) -> tf.Tensor:
    """Every query attends to all positions (Eq. 3.1, 3.2), exactly.

    query [N, P, D], key [N, M, D], value [N, M, C] -> [N, P, C].

    Where the attention map would take more than `map_bytes` per image it is never held completely: blocks of
    queries are evaluated one after the other, in the backward pass too, which computes each block's map
    again. Where the number of positions is unknown while tracing, the size of the blocks is found at run
    time.

    Args:
        query: [N, P, D].
        key: [N, M, D].
        value: [N, M, C].
        map_bytes: largest part of one image's attention map held at a time, in bytes; at least one query's
            row. None for the whole map.
    """
    row_bytes = max(query.dtype.size, 4) * (key.shape[1] or tf.shape(key)[1])
    queries = query.shape[1] or tf.shape(query)[1]
    if map_bytes is None:
        return tf.matmul(attention_weights(query, key), value)
    if query.shape[1] and key.shape[1]:
        if queries * row_bytes <= map_bytes:
            return tf.matmul(attention_weights(query, key), value)
        rows = max(1, map_bytes // row_bytes)
    else:
        fitting = tf.constant(map_bytes, tf.int64) // tf.cast(row_bytes, tf.int64)
        rows = tf.cast(tf.clip_by_value(fitting, 1, tf.cast(queries, tf.int64)), tf.int32)
    return _attend_blocks(query, key, value, queries, rows)


def _attend_blocks(query, key, value, queries, rows):
    """`attend_pixels` with `rows` of the `queries` at a time, both integers or scalar tensors."""
    blocks = -(-queries // rows)
    batch, depth = tf.shape(query)[0], query.shape[-1]
    padded = tf.pad(query, [[0, 0], [0, blocks * rows - queries], [0, 0]])
    split = tf.transpose(tf.reshape(padded, [batch, blocks, rows, depth]), [1, 0, 2, 3])
    attended = tf.map_fn(
        lambda block: _attend_block(block, key, value),
        split,
        fn_output_signature=tf.TensorSpec([query.shape[0], None, value.shape[-1]], value.dtype),
        parallel_iterations=1,
    )
    joined = tf.reshape(tf.transpose(attended, [1, 0, 2, 3]), [batch, blocks * rows, value.shape[-1]])
    result = joined[:, :queries]
    result.set_shape([query.shape[0], query.shape[1], value.shape[-1]])
    return result
