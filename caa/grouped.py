"""Algorithm 2: channelized attention as it is defined, with every product α, in groups of queries."""

from collections.abc import Callable

import tensorflow as tf

from caa.axial import at_least_float32, attention_weights


def require_groups(groups: int | None) -> None:
    """Raises ValueError unless `groups` is None (the factored form) or an integer of at least 1 (Algorithm
    2's G)."""
    if groups is not None and (isinstance(groups, bool) or not isinstance(groups, int) or groups < 1):
        raise ValueError(f"groups must be None (factored) or an integer of at least 1, not {groups!r}")


def channelize_in_groups(query_key: tf.Tensor, value: tf.Tensor, gate: Callable, groups: int) -> tf.Tensor:
    """Algorithm 2, with every product α before its sum.

    query_key [N, L, Q, D], value [N, L, Q, C] -> [N, L, Q, C]. Each of the Q pixels of a line (a column, a row) attends
    to its own line; the gate is one per Q, of the mean over the lines.

    The Q queries are padded with zero rows, evaluated in at most `groups` groups one after the other, and cut
    to size again. The padding fills the last group (the Q mod G that Algorithm 2 prints would not, unless G
    divides 2Q); groups that would hold padding alone are left out.
    """
    weights = attention_weights(query_key, query_key)
    batch, lines, queries, attended = (tf.shape(weights)[axis] for axis in range(4))
    size = -(-queries // groups)
    count = -(-queries // size)
    padding = [[0, count * size - queries], [0, 0], [0, 0], [0, 0]]
    padded = tf.pad(tf.transpose(weights, [2, 0, 1, 3]), padding)

    def channelize_group(group):
        alpha = group[..., tf.newaxis] * value[tf.newaxis]  # [size, N, L, M, C]
        mean = tf.reduce_mean(at_least_float32(alpha), axis=(2, 3))
        channel_weights = tf.cast(gate(mean), alpha.dtype)[:, :, tf.newaxis, tf.newaxis]
        return tf.reduce_sum(channel_weights * alpha, axis=3)

    channels = value.shape[-1]
    grouped = tf.map_fn(
        channelize_group,
        tf.reshape(padded, [count, size, batch, lines, attended]),
        fn_output_signature=tf.TensorSpec([None, *value.shape[:2], channels], value.dtype),
        parallel_iterations=1,
    )
    joined = tf.reshape(grouped, [count * size, batch, lines, channels])[:queries]
    return tf.ensure_shape(tf.transpose(joined, [1, 2, 0, 3]), [*weights.shape[:3], channels])
