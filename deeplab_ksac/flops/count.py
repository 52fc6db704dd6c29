"""Multiply-adds of a model at one image size, counted operation by operation on its graph; nothing is run.

TensorFlow's profiler agrees for most operations (a test holds it so), but counts an einsum, a loop and all of unknown
size as 0, and a kernel between space-to-batch and batch-to-space at the padded tiles instead of the map. Here a
multiply-add is one product with its sum in a convolution, matrix product or einsum; an unknown size is an error, and a
loop counts with the most turns that it may take.
"""

import collections
import dataclasses
import math
import os
import re
from collections.abc import Callable, Mapping

import tensorflow as tf

# TensorFlow has no public way to write out the functions that a SavedModel calls.
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

from deeplab_ksac.keras2 import keras
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.foreign_code import has_foreign_code
from deeplab_ksac.literal_paths import literal

GIGA = 2**30  # the thesis's G
PRODUCT = re.compile(r"conv|matmul|einsum|dot", re.IGNORECASE)  # names of operations that multiply
LOOPS = ("While", "StatelessWhile")
OLD_LOOPS = ("Enter", "RefEnter")  # begin a loop as TensorFlow 1 has it, whose body lies in the graph among all else
BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")
FUNCTIONS = {  # operations that stand for functions -> the attributes that name them
    **dict.fromkeys(LOOPS, ("body",)),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), ("f",)),
    **dict.fromkeys(BRANCHES[:2], ("then_branch", "else_branch")),
    **dict.fromkeys(BRANCHES[2:], ("branches",)),
}
CLOSED = ("EagerPyFunc", "PyFunc", "PyFuncStateless", "XlaCallModule", "XlaLaunch")  # nothing here can look into these
NUMBERED = re.compile(r"(projection|bottleneck)_\d+|(resize)_\w*logits")  # layers of which a model may have several
PARTS = ("backbone", "neck", "head", "projection", "bottleneck", "decoder", "classifier", "auxiliary", "resize")


def trace(function: Callable, *specs: tf.TensorSpec, autograph: bool = False) -> tf.Graph:
    """The graph of `function` on tensors of the given `tf.TensorSpec`s, converted by AutoGraph or as it is."""
    return tf.function(function, autograph=autograph).get_concrete_function(*specs).graph


def model_graph(
    model: keras.Model, height: int, width: int, *, training: bool = False, outputs: tuple[str, ...] = ("logits",)
) -> tf.Graph:
    """The graph of a segmentation model's outputs for one image of height × width pixels.

    Args:
        model: image [N, H, W, C] float32 -> a dict of outputs.
        height, width: of the image, in pixels.
        training: whether it is the forward pass of training.
        outputs: the names of those that are computed.
    """
    wanted = keras.Model(model.input, {name: model.output[name] for name in outputs}, name=model.name)
    image = tf.TensorSpec([1, height, width, model.input_shape[-1]])
    return trace(lambda image: wanted(image, training=training), image, autograph=has_foreign_code(wanted))


def saved_model_graph(
    path: str | os.PathLike, height: int, width: int, *, signature: str = "serving_default"
) -> tuple[tf.Graph, list[tf.Variable]]:
    """(graph, variables) of a SavedModel's signature for one image of height × width pixels.

    Raises:
        ValueError: no such signature, one of more than an image, or sizes that it does not take.
        OSError: no SavedModel at `path`.
    """
    with literal(os.path.join(path, "saved_model.pb")) as file:
        try:
            loaded = tf.saved_model.load(os.path.dirname(file))  # its variables live as long as it does
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise ValueError(f"{path} is no SavedModel that can be loaded: {in_one_line(error)}") from error
    signatures = loaded.signatures
    if signature not in signatures:
        raise ValueError(f"{path} has no signature {signature!r}; it has {', '.join(signatures) or 'none'}")
    serve = signatures[signature]
    inputs = serve.structured_input_signature[1]
    if len(inputs) != 1:
        raise ValueError(f"{path}: signature {signature!r} takes {', '.join(inputs)}, not one image")
    (name, spec), shape = next(iter(inputs.items())), tf.TensorShape([1, height, width, None])
    if not spec.shape.is_compatible_with(shape):
        raise ValueError(f"{path}: signature {signature!r} takes images {spec.shape}, not {shape}")
    shape = spec.shape.merge_with(shape)
    served = tf.function(lambda image: serve(**{name: image})).get_concrete_function(tf.TensorSpec(shape, spec.dtype))
    return _written_out(served), [*serve.variables]


def _written_out(function):
    """The graph with the functions that it calls in their places, all sizes inferred from the image's."""
    _, definition = convert_variables_to_constants_v2_as_graph(function, lower_control_flow=False)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
    return graph


def count_multiply_adds(graph: tf.Graph) -> dict[str, int]:
    """{name of an operation: its multiply-adds}, for all that multiply, in the graph's order.

    Raises:
        ValueError: an operation of unknown size, a loop of unknown length, branches of different multiply-adds, or a
            product that is not known here.
    """
    counts = {}
    for op in graph.get_operations():
        if op.type in FUNCTIONS:
            turns = _turns(op) if op.type in LOOPS else 1
            bodies = [count_multiply_adds(body) for body in bodies_of(graph, op)]
            if len({sum(body.values()) for body in bodies}) > 1:
                raise ValueError(f"{op.name}: what it multiplies depends on a condition, so it cannot be counted")
            counts.update((f"{op.name}/{name}", turns * n) for name, n in bodies[0].items())
        elif op.type in COUNTERS:
            counts[op.name] = COUNTERS[op.type](op)
        elif op.type in OLD_LOOPS:
            raise _unknown_turns(op)
        elif PRODUCT.search(op.type) or op.type in CLOSED:
            raise ValueError(f"{op.name}: the multiply-adds of {op.type} are not known")
    return counts


def bodies_of(graph: tf.Graph, op: tf.Operation) -> list[tf.Graph]:
    """The graphs of the functions that an operation of a graph stands for, one of `FUNCTIONS`."""
    found = [op.get_attr(name) for name in FUNCTIONS[op.type]]
    named = found[0] if isinstance(found[0], list) else found
    return [graph._get_function(function.name).graph for function in named]


def _turns(loop):
    """How often a loop runs at most; `tf.map_fn` and loops with `maximum_iterations` have such a number.

    `tf.map_fn` takes as many turns. A loop that ends sooner is counted as if it did not.
    """
    turns = tf.get_static_value(loop.inputs[1])
    if turns is None or turns < 0:
        raise _unknown_turns(loop)
    return int(turns)


def _unknown_turns(loop):
    return ValueError(f"{loop.name}: a loop whose number of turns is unknown cannot be counted")


def size_of(tensor: tf.Tensor) -> list[int]:
    """The sides of a tensor.

    Raises:
        ValueError: one of them is unknown; counting it as 0 would be wrong.
    """
    if not tensor.shape.is_fully_defined():
        raise ValueError(
            f"{tensor.op.name} has the size {tensor.shape}, which is not known; give the image's height and width, and "
            "a model whose sizes follow from them"
        )
    return tensor.shape.as_list()


def pixels_of(op: tf.Operation) -> int:
    """Outputs of a convolution per channel; between space-to-batch and batch-to-space that is the map, not tiles."""
    if not op.get_attr("data_format").endswith(b"C"):
        raise ValueError(f"{op.name}: only channels-last operations can be counted")
    result = op.outputs[0]
    if op.inputs[0].op.type == "SpaceToBatchND":
        result = next((user.outputs[0] for user in result.consumers() if user.type == "BatchToSpaceND"), result)
    return math.prod(size_of(result)[:-1])


def _convolution(op):
    return pixels_of(op) * math.prod(size_of(op.inputs[1]))


def _transposed_convolution(op):
    return math.prod(size_of(op.inputs[2])) * math.prod(size_of(op.inputs[1])[:-1])


def _matrix_product(op):
    adjoint = "transpose_a" if op.type == "MatMul" else "adj_x"
    return math.prod(size_of(op.outputs[0])) * size_of(op.inputs[0])[-2 if op.get_attr(adjoint) else -1]


def _einsum(op):
    """Every combination of the indices is one product; a sum of a single tensor has none."""
    if len(op.inputs) == 1:
        return 0
    sides = {}
    for labels, tensor in zip(op.get_attr("equation").decode().split("->")[0].split(","), op.inputs, strict=True):
        shape = size_of(tensor)
        before, dots, after = labels.strip().partition("...")
        spread = [f"...{len(shape) - index}" for index in range(len(before), len(shape) - len(after))] if dots else []
        for label, side in zip([*before, *spread, *after], shape, strict=True):
            sides[label] = max(side, sides.get(label, 1))  # a side of 1 is broadcast
    return math.prod(sides.values())


COUNTERS = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "MatMul": _matrix_product,
    "BatchMatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
    "Einsum": _einsum,
}


def part_of(name: str) -> str:
    """The part of a segmentation model, one of `PARTS`, to which an operation, a layer or a variable belongs."""
    for segment in name.split("/"):
        numbered = NUMBERED.fullmatch(segment)
        if numbered or segment in PARTS[1:]:
            return numbered.group(1) or numbered.group(2) if numbered else segment
    return "backbone"


def by_part(counts: Mapping[str, int]) -> dict[str, int]:
    """{part: sum} of {name: number}, in the order of `PARTS`, parts without anything left out."""
    sums = collections.Counter()
    for name, number in counts.items():
        sums[part_of(name)] += number
    return {part: sums[part] for part in PARTS if sums[part]}


def count_parameters(model: keras.Model) -> dict[str, int]:
    """{part: number of weights}, the normalizations' moving averages among them."""
    return by_part({layer.name: layer.count_params() for layer in model.layers})


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a segmentation model holds and multiplies, by its parts; as text, a table of them.

    Attributes:
        parameters: part, one of `PARTS`, -> number of weights.
        multiply_adds: part -> multiply-adds for one image.
    """

    parameters: Mapping[str, int]
    multiply_adds: Mapping[str, int]

    def __str__(self) -> str:
        rows = [
            (p, self.parameters.get(p, 0), self.multiply_adds.get(p, 0)) for p in self.parameters | self.multiply_adds
        ]
        rows.append(("all", sum(self.parameters.values()), sum(self.multiply_adds.values())))
        lines = [f"{name:<12}{weights:>16,}{products / GIGA:>16.4f} G" for name, weights, products in rows]
        return "\n".join([f"{'part':<12}{'parameters':>16}{'multiply-adds':>18}", *lines])


def count_flops(model: keras.Model, height: int = 513, width: int = 513, *, output: str = "logits") -> int:
    """The multiply-adds of a model's output for one image of height × width pixels; 2³⁰ of them are the thesis's G."""
    return sum(count_multiply_adds(model_graph(model, height, width, outputs=(output,))).values())


def count_saved_model(path: str | os.PathLike, height: int, width: int) -> Counts:
    """The counts of a SavedModel for one image of height × width pixels; errors as of `saved_model_graph`."""
    graph, variables = saved_model_graph(path, height, width)
    parameters = by_part({variable.name: math.prod(variable.shape) for variable in variables})
    return Counts(parameters, by_part(count_multiply_adds(graph)))
