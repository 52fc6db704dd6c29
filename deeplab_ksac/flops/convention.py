"""FLOPs as the thesis prints them: TensorFlow's profiler on the author's graphs, as far as ours differ from them.

G = float_ops / 2 / 2³⁰, a multiply-add is 1. The profiler counts convolutions, matrix products, pooling, additions of
biases and a few operations on single elements. Where the author's graph is another than ours, its count is taken:

- Keras' atrous convolutions are space-to-batch there and counted at the padded tiles, ours are native; KSAC's shared
  kernel is native in both. That difference is the saving that Table 2.1 shows.
- Chapters 2 and 3 have fused normalization (not counted), residual additions that are, and the L2 terms of the kernels
  in the graph. Chapter 4 has synchronized normalization: one product per value, and in training a square and two sums
  besides, where ours is fused.
- Chapter 3's axial attention is a loop of unknown length: only what is outside it, the products of queries and keys,
  the softmax, and the gate once instead of for every row and column, are counted.
"""

import dataclasses
import math

import tensorflow as tf

from deeplab_ksac.flops.count import GIGA, size_of

PASSED_ON = ("Cast", "Identity", "ReadVariableOp")
COUNTED_HERE = ("AddV2", "FusedBatchNormV3")  # the profiler has no count of them


@dataclasses.dataclass(frozen=True)
class Convention:
    """What a chapter's FLOPs hold.

    Attributes:
        residual_adds: whether the additions of a backbone's shortcuts are counted.
        l2: whether the L2 terms are: a square and a sum for every kernel weight.
        normalization: whether the products of the normalization layers are.
        attention_loops: whether what is inside the loops of axial attention is.
    """

    residual_adds: bool
    l2: bool
    normalization: bool
    attention_loops: bool


CONVENTIONS = {
    2: Convention(residual_adds=True, l2=True, normalization=False, attention_loops=True),
    3: Convention(residual_adds=True, l2=True, normalization=False, attention_loops=False),
    4: Convention(residual_adds=False, l2=False, normalization=True, attention_loops=True),
}


def profiler_float_ops(graph: tf.Graph) -> dict[str, int]:
    """{operation: float_ops} as TensorFlow's profiler counts them: two for a multiply-add."""
    build = tf.compat.v1.profiler.ProfileOptionBuilder
    options = build(build.float_operation()).with_empty_output().build()
    pending = [tf.compat.v1.profiler.profile(graph, cmd="graph", options=options)]
    counts = {}
    while pending:
        node = pending.pop()
        counts[node.name] = node.float_ops
        pending.extend(node.children)
    return counts


def thesis_gflops(graph: tf.Graph, convention: Convention) -> float:
    """GFLOPs of a graph in the thesis's convention.

    Args:
        graph: as `model_graph` traces it, of a model with `method="direct"` and `merge="concat"` where its head is
            KSAC.
        convention: one of `CONVENTIONS`.

    Raises:
        ValueError: an operation of unknown size.
    """
    profiled = profiler_float_ops(graph)
    operations = [op for op in graph.get_operations() if op.name in profiled or op.type in COUNTED_HERE]
    total = sum(_float_ops(op, profiled.get(op.name, 0), convention) for op in operations)
    if convention.l2:
        total += 2 * _kernel_weights(operations)
    return total / 2 / GIGA


def class_aware_gflops(graph: tf.Graph) -> float:
    """GFLOPs of CAR's terms as Table 4.4 has them: there class sums and their distribution are matrix products.

    Ours are segment sums and gathers, which have no products; see `car.centers`.
    """
    profiled = profiler_float_ops(graph)
    total = sum(_float_ops(op, profiled.get(op.name, 0), CONVENTIONS[4]) for op in graph.get_operations())
    for op in graph.get_operations():
        if op.type == "UnsortedSegmentSum":
            total += 2 * math.prod(size_of(op.inputs[0])) * (size_of(op.outputs[0])[0] - 1)  # one slot is of no class
        elif op.type == "GatherV2":
            total += 2 * math.prod(size_of(op.outputs[0])) * size_of(op.inputs[0])[-2]
    return total / 2 / GIGA


def _float_ops(op, counted, convention):
    """The float_ops of one of our operations in the author's graph; `counted` are those in ours."""
    if op.type == "AddV2":
        return _residual(op) if convention.residual_adds else 0
    if op.type == "FusedBatchNormV3":
        of_a_value = 4 if op.get_attr("is_training") else 1
        return of_a_value * math.prod(size_of(op.outputs[0])) if convention.normalization else 0
    if not counted:
        return 0
    if "/batchnorm/" in op.name and not convention.normalization:
        return 0
    if "/attention/" in op.name and not convention.attention_loops:
        return _outside_of_loops(op, counted)
    if op.type == "Sum" and _source(op.inputs[0]).type == "Fill":
        return 0  # Keras sums ones to count the pixels of a normalization
    return counted * _tiles(op) if op.type == "Conv2D" and not _is_shared(op) else counted


def _is_shared(op):
    """Whether a convolution is one of KSAC's shared kernel: native, and without an L2 term in Table 2.1's graphs."""
    return "/pyramid/" in op.name


def _residual(op):
    """Elements of an addition of two maps; normalizations add a vector."""
    shapes = [size_of(tensor) for tensor in (*op.inputs, *op.outputs)]
    joins_maps = len(shapes[0]) == 4 and shapes[0] == shapes[1] == shapes[2]
    return math.prod(shapes[2]) if joins_maps and "/batchnorm/" not in op.name else 0


def _tiles(op):
    """Ratio of the padded tiles of space-to-batch to the map, for an atrous 3×3 convolution; 1 for others."""
    rates = op.get_attr("dilations")[1:3]
    sides = size_of(op.outputs[0])[1:3]
    return math.prod(-(-side // rate) * rate / side for side, rate in zip(sides, rates, strict=True))


def _outside_of_loops(op, counted):
    if "_gate/" in op.name:
        lines = size_of(op.outputs[0])[0]
        return counted // lines if op.type == "MatMul" else 0
    weighs_values = op.type == "BatchMatMulV2" and _source(op.inputs[0]).type == "Softmax"
    return counted if op.type in ("Conv2D", "BiasAdd", "BatchMatMulV2", "Softmax") and not weighs_values else 0


def _source(tensor):
    """The operation that a tensor comes from, past those that pass it on."""
    while tensor.op.type in PASSED_ON:
        tensor = tensor.op.inputs[0]
    return tensor.op


def _kernel_weights(operations):
    """Weights of the kernels of all plain convolutions."""
    convolutions = [op for op in operations if op.type == "Conv2D" and not _is_shared(op)]
    return sum(math.prod(size_of(op.inputs[1])) for op in convolutions)
