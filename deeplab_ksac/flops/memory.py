"""Memory of a graph at its peak, from the sizes and lifetimes of its tensors; nothing is run.

Operations are taken in the order in which they were made. A tensor lives from the operation that makes it to the last
one that reads it. What only gives a tensor another shape or name shares its memory, and an elementwise operation writes
into an input that nobody needs after it, as TensorFlow does. What an operation needs beside its inputs and outputs
(scratch memory of convolutions) and what the allocator cannot use again are not counted.
"""

import collections
import dataclasses
import math

import tensorflow as tf

from deeplab_ksac.flops.count import FUNCTIONS, bodies_of, size_of

SAME_MEMORY = (  # operations whose first output is their first input under another name or shape
    "Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient", "Snapshot",
    "CheckNumerics", "EnsureShape",
)  # fmt: skip
WRITES_OVER_ITS_INPUT = (  # those that TensorFlow lets write into an input that dies with them
    "Abs", "Add", "AddN", "AddV2", "BiasAdd", "Cast", "Clip", "Div", "Elu", "Exp", "Floor", "LogicalAnd",
    "LogicalNot", "LogicalOr", "Log", "Maximum", "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu",
    "Relu6", "Relu6Grad", "ReluGrad", "Rsqrt", "RsqrtGrad", "SelectV2", "Sigmoid", "SigmoidGrad", "Softmax", "Sqrt",
    "Square", "SquaredDifference", "Sub", "Tanh", "TanhGrad",
)  # fmt: skip
NO_MEMORY = ("Const", "NoOp", "Placeholder", "ReadVariableOp", "Assert", "VarHandleOp")  # or the model's
WITHOUT_SIZE = (tf.resource, tf.variant, tf.string)
LIKE = ("ZerosLike", "Identity")
CUDNN_RESERVE = ("FusedBatchNormV3", 5)  # of unknown size: cuDNN's own; empty on CPUs


@dataclasses.dataclass(frozen=True)
class Peak:
    """The moment at which a graph's tensors need most.

    Attributes:
        total: bytes of all tensors that live then; inputs, constants and variables are not among them.
        at: name of the operation that runs then.
        by_operation: type of operation -> bytes of its results that live then, largest first.
    """

    total: int
    at: str
    by_operation: dict[str, int]


def peak_memory(graph: tf.Graph) -> Peak:
    """The peak of a graph whose tensors have known sizes; functions that it calls count with their own peaks.

    Raises:
        ValueError: a tensor of unknown size.
    """
    operations = graph.get_operations()
    memory_of, sizes = _memory_of(operations), _sizes_in_bytes(operations)
    last = {memory_of[tensor.ref()]: place for place, op in enumerate(operations) for tensor in op.inputs}
    last |= {memory_of[tensor.ref()]: len(operations) for tensor in getattr(graph, "outputs", ())}
    dying = collections.defaultdict(list)
    for key, place in last.items():
        dying[place].append(key)

    living, total, peak = {}, 0, Peak(0, "", {})
    for place, op in enumerate(operations):
        new = {}
        if op.type not in NO_MEMORY:
            new = {t.ref(): (sizes[t.ref()], op.type) for t in op.outputs if memory_of[t.ref()] == t.ref()}
        spared = 0
        if op.type in WRITES_OVER_ITS_INPUT:
            dead = [living[key][0] for key in dying[place] if key in living]
            spared = next((size for size, _ in new.values() if size in dead), 0)
        living |= new
        total += sum(size for size, _ in new.values())
        needed = total - spared + (_inner_peak(graph, op) if op.type in FUNCTIONS else 0)
        if needed > peak.total:
            kinds = collections.Counter()
            for size, kind in living.values():
                kinds[kind] += size
            peak = Peak(needed, op.name, dict(kinds.most_common()))
        for key in [*dying[place], *(key for key in new if key not in last)]:
            total -= living.pop(key, (0,))[0]
    return peak


def _memory_of(operations):
    """{reference of a tensor: that of the tensor whose memory it uses}."""
    memory_of = {}
    for op in operations:
        for index, tensor in enumerate(op.outputs):
            shared = op.type in SAME_MEMORY and index < len(op.inputs)
            memory_of[tensor.ref()] = memory_of[op.inputs[index].ref()] if shared else tensor.ref()
    return memory_of


def _sizes_in_bytes(operations):
    """{reference of a tensor: its bytes}; 0 for what cuDNN keeps for itself and zeros in its likeness, and for axes."""
    sizes, none = {}, set()
    for op in operations:
        for index, tensor in enumerate(op.outputs):
            if (op.type, index) == CUDNN_RESERVE or (op.type in LIKE and op.inputs[0].ref() in none):
                none.add(tensor.ref())
            if tensor.dtype in WITHOUT_SIZE or op.type == "BroadcastGradientArgs" or tensor.ref() in none:
                sizes[tensor.ref()] = 0
            else:
                sizes[tensor.ref()] = math.prod(size_of(_reshaped(tensor))) * tensor.dtype.size
    return sizes


def _reshaped(tensor):
    """A sum over axes that TensorFlow finds while it runs has the size of what it is reshaped to."""
    if tensor.shape.is_fully_defined() or tensor.op.type != "Sum":
        return tensor
    return next((user.outputs[0] for user in tensor.consumers() if user.type == "Reshape"), tensor)


def _inner_peak(graph, op):
    """The highest peak of the functions that an operation calls, whose results are counted as the operation's."""
    peak = max(peak_memory(inner).total for inner in bodies_of(graph, op))
    return max(peak - sum(_sizes_in_bytes([op]).values()), 0)
