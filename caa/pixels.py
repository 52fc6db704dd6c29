"""Self-attention over all pixels (Sect. 3.3.1.1), exact, within a bound of memory."""

from caa.axial import attention_weights
from deeplab_ksac.tensor_ops import Tensor, ops

MAP_BYTES = 2**28


@ops.recomputed
@ops.custom_gradient
def _attend_block(query, key, value):
    """Attention whose backward pass computes the weights again instead of keeping them."""

    def gradient(upstream):
        weights = ops.at_least_float32(attention_weights(query, key))
        toward_weights = ops.at_least_float32(ops.matmul(upstream, value, transpose_b=True))
        mean = ops.sum(weights * toward_weights, axis=-1, keepdims=True)
        toward_energy = ops.cast(weights * (toward_weights - mean), query.dtype)
        return (
            ops.matmul(toward_energy, key),
            ops.matmul(toward_energy, query, transpose_a=True),
            ops.matmul(ops.cast(weights, value.dtype), upstream, transpose_a=True),
        )

    return ops.matmul(attention_weights(query, key), value), gradient


def attend_pixels(query: Tensor, key: Tensor, value: Tensor, *, map_bytes: int | None = MAP_BYTES) -> Tensor:
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
    row_bytes = max(ops.item_bytes(query), 4) * (key.shape[1] or ops.shape(key)[1])
    queries = query.shape[1] or ops.shape(query)[1]
    if map_bytes is None:
        return ops.matmul(attention_weights(query, key), value)
    if query.shape[1] and key.shape[1]:
        if queries * row_bytes <= map_bytes:
            return ops.matmul(attention_weights(query, key), value)
        rows = max(1, map_bytes // row_bytes)
    else:
        fitting = ops.convert_to_tensor(map_bytes, "int64") // ops.cast(row_bytes, "int64")
        rows = ops.cast(ops.clip(fitting, 1, ops.cast(queries, "int64")), "int32")
    return _attend_blocks(query, key, value, queries, rows)


def _attend_blocks(query, key, value, queries, rows):
    """`attend_pixels` with `rows` of the `queries` at a time, both integers or scalar tensors."""
    blocks = (queries - 1) // rows + 1  # rounded up without negative numbers, which converters round otherwise
    batch, depth = ops.shape(query)[0], query.shape[-1]
    padded = ops.pad(query, [[0, 0], [0, blocks * rows - queries], [0, 0]])
    split = ops.transpose(ops.reshape(padded, [batch, blocks, rows, depth]), [1, 0, 2, 3])
    sizes = [query.shape[0], None, value.shape[-1]]
    attended = ops.map_in_turn(lambda block: _attend_block(block, key, value), split, sizes, value.dtype)
    joined = ops.reshape(ops.transpose(attended, [1, 0, 2, 3]), [batch, blocks * rows, value.shape[-1]])
    return ops.set_shape(joined[:, :queries], [query.shape[0], query.shape[1], value.shape[-1]])
