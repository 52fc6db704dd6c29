"""Algorithm 2: channelized attention as it is defined, with every product α, in groups of queries."""

from collections.abc import Callable

from caa.axial import attention_weights
from deeplab_ksac.tensor_ops import Tensor, ops


def require_groups(groups: int | None) -> None:
    """Raises ValueError unless `groups` is None (the factored form) or an integer of at least 1 (Algorithm
    2's G)."""
    if groups is not None and (isinstance(groups, bool) or not isinstance(groups, int) or groups < 1):
        raise ValueError(f"groups must be None (factored) or an integer of at least 1, not {groups!r}")
    if groups is not None and groups >= 2**31:
        raise ValueError(f"groups must be an integer below 2^31, not {groups!r}")


def channelize_in_groups(query_key: Tensor, value: Tensor, gate: Callable, groups: int) -> Tensor:
    """Algorithm 2, with every product α before its sum.

    query_key [N, L, Q, D], value [N, L, Q, C] -> [N, L, Q, C]. Each of the Q pixels of a line (a column, a row) attends
    to its own line; the gate is one per Q, of the mean over the lines.

    The Q queries are padded with zero rows, evaluated in at most `groups` groups one after the other, and cut
    to size again. The padding fills the last group (the Q mod G that Algorithm 2 prints would not, unless G
    divides 2Q); groups that would hold padding alone are left out.
    """
    weights = attention_weights(query_key, query_key)
    batch, lines, queries, attended = (ops.shape(weights)[axis] for axis in range(4))
    size = (queries - 1) // groups + 1  # rounded up without negative numbers, which converters round otherwise
    count = (queries - 1) // size + 1
    padding = [[0, count * size - queries], [0, 0], [0, 0], [0, 0]]
    padded = ops.pad(ops.transpose(weights, [2, 0, 1, 3]), padding)

    def channelize_group(group):
        alpha = group[..., ops.newaxis] * value[ops.newaxis]  # [size, N, L, M, C]
        mean = ops.mean(ops.at_least_float32(alpha), axis=(2, 3))
        channel_weights = ops.cast(gate(mean), alpha.dtype)[:, :, ops.newaxis, ops.newaxis]
        return ops.sum(channel_weights * alpha, axis=3)

    channels = value.shape[-1]
    groups_of_weights = ops.reshape(padded, [count, size, batch, lines, attended])
    sizes = [None, *value.shape[:2], channels]
    grouped = ops.map_in_turn(channelize_group, groups_of_weights, sizes, value.dtype)
    joined = ops.reshape(grouped, [count * size, batch, lines, channels])[:queries]
    return ops.ensure_shape(ops.transpose(joined, [1, 2, 0, 3]), [*weights.shape[:3], channels])
