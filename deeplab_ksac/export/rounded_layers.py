"""Which layers 8 bits cost most: each of them computes in 8 bits alone, inside of the model, the others in float32.

That is what a file in 8 bits does with a layer, whatever its format: a kernel has a scale for each output channel, a
map a range from the smallest to the largest number that was seen. A map is what a layer hands on; batch normalization,
biases and ReLU belong to the convolution or product before them.
"""

import collections
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.export.whole_maps import with_whole_maps
from deeplab_ksac.foreign_code import has_foreign_code
from deeplab_ksac.prediction.scores import logits_model

# operations whose numbers are those that they were given, at other places
MOVES = frozenset(
    (
        "Identity",
        "StopGradient",
        "EnsureShape",
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "Transpose",
        "StridedSlice",
        "Slice",
        "Split",
        "SplitV",
        "Unpack",
        "Pad",
        "PadV2",
        "MirrorPad",
        "SpaceToBatchND",
        "BatchToSpaceND",
        "Tile",
        "GatherV2",
        "MaxPool",
    )
)
# operations that are computed with what gives their only map
JOINS = frozenset(("BiasAdd", "FusedBatchNormV3", "Relu", "Relu6", "AddV2", "Mul", "Sub"))
MEASURES = frozenset(("Shape", "ShapeN", "Size", "Rank"))  # of which what follows is no map
LEVELS = 127  # of a kernel's numbers, on each side of 0


def cost_by_layer(model: keras.Model, pictures: Iterable[np.ndarray], bands: Bands = RGB) -> dict[str, float]:
    """Layer -> share of the pixels that get another class where that layer alone computes in 8 bits; largest first.

    The shares do not add up to what a whole file costs: errors of several layers may cancel or add up.

    Args:
        model: image [N, H, W, C] float32 -> {"logits", …}.
        pictures: a few, uint8 or uint16 [H, W, C]; they are run once for each layer.
        bands: of the pictures.

    Raises:
        ValueError: there are no pictures.
    """
    images = [tf.cast(picture[np.newaxis], tf.float32) / bands.unit for picture in pictures]
    if not images:
        raise ValueError("there are no pictures by which the layers' cost is measured")
    simulation = _Simulation(logits_model(with_whole_maps(model)), bands)
    low, high = (np.nan_to_num(limits) for limits in simulation.ranges(images))
    expected = [simulation.classes(image, simulation.maps_of(None), low, high) for image in images]
    costs = {}
    for layer in simulation.layers:
        simulation.round_kernels(layer)
        found = [simulation.classes(image, simulation.maps_of(layer), low, high) for image in images]
        simulation.restore_kernels(layer)
        differ = [(one != other).numpy().ravel() for one, other in zip(found, expected, strict=True)]
        costs[layer] = float(np.mean(np.concatenate(differ)))
    return dict(sorted(costs.items(), key=lambda item: -item[1]))


class _Simulation:
    """The graph of a model, image -> logits, in which the maps and kernels of a layer can be rounded.

    Attributes:
        layers: their names; within a head or a decoder the way to a layer, as the names of its weights.
        limits: image -> (smallest, largest) number of each map.
        classes: image, which maps are rounded, their smallest and largest numbers -> classes [1, H, W].
    """

    def __init__(self, network, bands):
        spec = tf.TensorSpec([1, None, None, bands.number], tf.float32)
        traced = tf.function(
            lambda image: network(image, training=False), [spec], autograph=has_foreign_code(network)
        ).get_concrete_function()
        (image, *captures), (result,) = traced.inputs, traced.outputs
        operations = used_for(result.op)
        names = _Names(network)
        found = [(place.name, names.of(start.name)) for place, start in sites(operations, image.op)]
        places, self.of_maps = [place for place, _ in found], [layer for _, layer in found]
        self.kernels = collections.defaultdict(list)  # layer -> (variable, numbers, rounded numbers)
        self.copies = self._copies(network, zip(captures, traced.captured_inputs, strict=True))
        self.layers = list(dict.fromkeys([*self.of_maps, *self.kernels]))
        plain = traced.graph.as_graph_def()
        rounding, switched = with_roundings(plain, places)

        def given(pixels):
            return {image.name: pixels, **{name: tf.identity(_handle(copy)) for name, copy in self.copies.items()}}

        @tf.function(input_signature=[spec], autograph=False)
        def limits(image):
            maps = tf.graph_util.import_graph_def(plain, given(image), [f"{place}:0" for place in places])
            return tf.stack([tf.reduce_min(x) for x in maps]), tf.stack([tf.reduce_max(x) for x in maps])

        of_each = [tf.TensorSpec([len(places)], kind) for kind in (tf.bool, tf.float32, tf.float32)]

        @tf.function(input_signature=[spec, *of_each], autograph=False)
        def classes(image, chosen, low, high):
            switches = {
                f"{name}:0": values[index]
                for index, of_place in enumerate(switched)
                for name, values in zip(of_place, (chosen, low, high), strict=True)
            }
            (scores,) = tf.graph_util.import_graph_def(rounding, {**given(image), **switches}, [result.name])
            return tf.argmax(scores, axis=-1)

        self.limits, self.classes = limits, classes

    def _copies(self, network, captured):
        """{name of a placeholder: a copy of the weight that it stands for, or the constant}; kernels are noted."""
        of_weights = {id(weight.handle): weight for weight in network.weights}
        copies = {}
        for placeholder, handle in captured:
            weight = of_weights.get(id(handle))
            copies[placeholder.name] = handle if weight is None else tf.Variable(weight)
            if weight is not None and len(weight.shape) > 1:
                layer, copy = weight.name.rpartition("/")[0], copies[placeholder.name]
                self.kernels[layer].append((copy, weight.numpy(), rounded_kernel(weight)))
        return copies

    def ranges(self, images):
        """(smallest, largest) number of each map over the images, 0 among them."""
        low, high = zip(*(self.limits(image) for image in images), strict=True)
        return np.minimum(np.min(low, axis=0), 0), np.maximum(np.max(high, axis=0), 0)

    def maps_of(self, layer):
        """Which of the maps are the layer's."""
        return np.array([name == layer for name in self.of_maps], bool)

    def round_kernels(self, layer):
        """Makes the layer's kernels what they are in 8 bits."""
        for copy, _, rounded in self.kernels.get(layer, ()):
            copy.assign(rounded)

    def restore_kernels(self, layer):
        """Makes them what they were."""
        for copy, numbers, _ in self.kernels.get(layer, ()):
            copy.assign(numbers)


def _handle(copy):
    """What a graph takes for a variable or a constant."""
    return copy.handle if isinstance(copy, tf.Variable) else copy


class _Names:
    """The layers' names that the names of operations begin with."""

    def __init__(self, network):
        self.prefix = f"{network.name}/"
        self.known = {layer.name for layer in network.layers}
        for weight in network.weights:
            parts = weight.name.split("/")[:-1]
            self.known.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))

    def of(self, operation):
        """The innermost layer that an operation belongs to; its own name where that is none."""
        parts = operation.removeprefix(self.prefix).split("/")
        for count in range(len(parts), 0, -1):
            if (name := "/".join(parts[:count])) in self.known:
                return name
        return operation


def used_for(result):
    """The operations that an operation's outputs are computed by, in their graph's order."""
    used, left = {result}, [result]
    while left:
        new = {tensor.op for tensor in left.pop().inputs} - used
        used |= new
        left.extend(new)
    return [operation for operation in result.graph.get_operations() if operation in used]


def sites(operations, image):
    """Yields (operation that gives a map which is rounded, operation of the layer that this map is of).

    Args:
        operations: of a graph, in the order in which they can be computed.
        image: the operation that gives the image.
    """
    follow, maps = collections.defaultdict(list), {image}

    def maps_given(operation):
        given = [_behind_identities(tensor).op for tensor in operation.inputs]
        return [source for source in given if source in maps]

    for operation in operations:
        given = maps_given(operation)
        if given and operation.type not in (*MEASURES, "IdentityN"):
            maps.add(operation)
            for source in given:
                follow[source].append(operation)

    def joined(operation):
        """The operation that a map is handed to before it is rounded, or None."""
        following = follow[operation]
        while len(following) == 1 and following[0].type in MOVES:
            following = follow[following[0]]
        if len(following) == 1 and following[0].type in JOINS and len(maps_given(following[0])) == 1:
            return following[0]
        return None

    starts = {}  # operation -> that of the layer whose map it completes
    for operation in operations:
        if operation not in maps or operation is image or operation.type in MOVES:
            continue
        start = starts.get(operation, operation)
        if (after := joined(operation)) is not None:
            starts[after] = start
        elif operation.outputs[0].dtype == tf.float32 and operation.outputs[0].shape.rank not in (0, 1):
            yield operation, start


def _behind_identities(tensor):
    """The tensor that a layer with a gradient of its own gives, before the operation that joins it with its inputs."""
    while tensor.op.type == "IdentityN":
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def with_roundings(graph, places):
    """A graph whose operations of the names `places` give their first outputs rounded to 8 bits where that is chosen.

    Returns:
        (the graph, for each place the names of the placeholders of whether, and of the smallest and largest number).
    """
    changed = type(graph)()
    changed.CopyFrom(graph)
    instead = {place: f"rounded/{index}/chosen" for index, place in enumerate(places)}
    for node in changed.node:
        node.input[:] = [instead.get(name.removesuffix(":0"), name) for name in node.input]
    switched = []
    for place, chosen in instead.items():
        names = [f"{chosen}/{part}" for part in ("whether", "low", "high")]
        for name, kind in zip(names, (tf.bool, tf.float32, tf.float32), strict=True):
            node = changed.node.add(name=name, op="Placeholder")
            node.attr["dtype"].type = kind.as_datatype_enum
            node.attr["shape"].shape.SetInParent()
        node = changed.node.add(name=f"{chosen}/in_8_bits", op="FakeQuantWithMinMaxVars", input=[place, *names[1:]])
        node.attr["num_bits"].i = 8
        node = changed.node.add(name=chosen, op="SelectV2", input=[names[0], f"{chosen}/in_8_bits", place])
        node.attr["T"].type = tf.float32.as_datatype_enum
        switched.append(names)
    return changed, switched


def rounded_kernel(kernel: tf.Variable) -> np.ndarray:
    """A kernel's numbers, [..., filters], or [..., C, multiplier] of a depthwise one, as they are in 8 bits."""
    numbers = kernel.numpy()
    inner = numbers.ndim - (2 if "depthwise_kernel" in kernel.name else 1)
    largest = np.abs(numbers).max(axis=tuple(range(inner)), keepdims=True)
    step = np.where(largest > 0, largest, 1) / LEVELS
    return (np.rint(numbers / step) * step).astype(numbers.dtype)
