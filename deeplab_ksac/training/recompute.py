"""Training with less memory: the backbone is computed in segments, and their insides once more for the gradient.

What a gradient asks for is then held for one segment at a time, and between segments a map or two (Chen et al.,
"Training deep nets with sublinear memory cost", 2016). The results are those of the plain step to rounding: whatever
the layers of a segment keep for themselves (moving statistics, counts of draws) is set back before they compute again,
so that dropout draws the same, and set to what it was afterwards, so that statistics move once.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.dropout import Dropout
from deeplab_ksac.training.backbone_part import backbone_of

LAYERS_A_BLOCK = 3  # convolution, normalization, activation: √(blocks) segments of √(blocks) blocks hold the least

Values = dict[int, tf.Tensor]  # by the identity of the symbolic tensor


class Segment(keras.layers.Layer):
    """Some layers of a functional model in their order: [maps that they read] -> [maps that are read behind them].

    Args:
        layers: each is called once in its model, and built.
        reads, gives: the identities of these maps' symbolic tensors.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], reads: Sequence[int], gives: Sequence[int]):
        super().__init__(autocast=False)  # each of the layers has its own type
        self.layers, self.reads, self.gives = list(layers), tuple(reads), tuple(gives)
        self.states = _states(layers)

    def call(self, maps: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        values = dict(zip(self.reads, maps, strict=True))
        for layer in self.layers:
            (node,) = layer.inbound_nodes
            arguments, options = tf.nest.map_structure(
                lambda x: values.get(id(x), x), (node.call_args, node.call_kwargs)
            )
            outputs = layer(*arguments, **options)
            made = zip(tf.nest.flatten(node.outputs), tf.nest.flatten(outputs), strict=True)
            values.update((id(symbol), value) for symbol, value in made)
        return [values[symbol] for symbol in self.gives]


class Recomputed:
    """A `deeplab_ksac.model.segmentation_model` whose backbone computes its gradient in segments; it shares the layers.

    A pass is `forward`, the `rest` under a tape that watches what the rest reads, and `backward`.

    Args:
        model: image -> outputs by name.

    Raises:
        ValueError: a model of which it is not known where its backbone ends, or with a layer that is called more than
            once.
    """

    def __init__(self, model: keras.Model):
        layers = [layer for layer in backbone_of(model).layers if not isinstance(layer, keras.layers.InputLayer)]
        inside = {id(layer) for layer in (*layers, model.get_layer(index=0))}
        behind = [layer for layer in model.layers if id(layer) not in inside]
        shared = [layer.name for layer in (*layers, *behind) if len(layer.inbound_nodes) != 1]
        if shared:
            raise ValueError(f"recompute takes layers that are called once, not {shared[0]!r}; leave recompute out")
        made = {id(model.input): -1}  # symbolic tensor -> the place of the layer that makes it, in a fixed order
        made |= {symbol: place for place, layer in enumerate(layers) for symbol in _outputs(layer)}
        read = [_inputs(layer) for layer in layers]
        of_rest = set().union(*map(_inputs, behind))
        self._image, self._structure, self._segments = id(model.input), model.output, []
        for start, end in itertools.pairwise([0, *_places(read, made), len(layers)]):
            reads, later = set().union(*read[start:end]), of_rest.union(*read[end:])
            self._segments.append(
                Segment(
                    layers[start:end],
                    [symbol for symbol, place in made.items() if symbol in reads and place < start],
                    [symbol for symbol, place in made.items() if symbol in later and start <= place < end],
                )
            )
        outputs = [id(symbol) for symbol in tf.nest.flatten(model.output)]
        self._rest = Segment(behind, [symbol for symbol in made if symbol in of_rest], outputs)

    def forward(self, image: tf.Tensor) -> tuple[Values, list]:
        """Computes the backbone in training: (the maps between segments, what `backward` needs besides)."""
        values, before = {self._image: image}, []
        for segment in self._segments:
            before.append([state.read_value() for state in segment.states])
            outputs = segment([values[symbol] for symbol in segment.reads], training=True)
            values.update(zip(segment.gives, outputs, strict=True))
        return values, before

    def read_by_rest(self, values: Values) -> list[tf.Tensor]:
        """The maps, of those that `forward` has computed, that the rest reads."""
        return [values[symbol] for symbol in self._rest.reads]

    def rest(self, values: Values) -> Mapping[str, tf.Tensor]:
        """The model's outputs from the maps that `forward` has computed."""
        return tf.nest.pack_sequence_as(self._structure, self._rest(self.read_by_rest(values), training=True))

    def backward(
        self, values: Values, before: list, gradients: Sequence[tf.Tensor | None]
    ) -> list[tuple[tf.Variable, tf.Tensor]]:
        """The backbone's variables with their gradients.

        Args:
            values, before: of `forward`.
            gradients: of `read_by_rest`.
        """
        slopes, found = dict(zip(self._rest.reads, gradients, strict=True)), []
        trained = [bool(segment.trainable_variables) for segment in self._segments]
        first = trained.index(True) if any(trained) else len(trained)
        for segment, states in reversed(list(zip(self._segments, before, strict=True))[first:]):
            upstream = [slopes.get(symbol) for symbol in segment.gives]
            known = [slope for slope in upstream if slope is not None]
            if not known:
                continue
            with tf.control_dependencies(known):  # else it would be computed beforehand, and held
                inputs = [tf.identity(values[symbol]) for symbol in segment.reads]
                after = [state.read_value() for state in segment.states]
                for state, value in zip(segment.states, states, strict=True):
                    state.assign(value)
            variables = segment.trainable_variables
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch((inputs, variables))
                outputs = segment(inputs, training=True)
                targets = [output for output, slope in zip(outputs, upstream, strict=True) if slope is not None]
            for state, value in zip(segment.states, after, strict=True):
                state.assign(value)
            of_inputs, of_variables = tape.gradient(targets, (inputs, variables), known)
            found += [pair for pair in zip(variables, of_variables, strict=True) if pair[1] is not None]
            for symbol, slope in zip(segment.reads, of_inputs, strict=True):
                if slope is not None:
                    other = slopes.get(symbol)
                    slopes[symbol] = slope if other is None else other + slope
        return found


def _inputs(layer):
    """The identities of the symbolic tensors that a layer reads."""
    return {id(symbol) for symbol in layer.inbound_nodes[0].keras_inputs}


def _outputs(layer):
    """The identities of the symbolic tensors that a layer makes."""
    return [id(symbol) for symbol in tf.nest.flatten(layer.inbound_nodes[0].outputs)]


def _places(read, made):
    """Where a row of layers is cut: places of layers before which few maps cross, about equally far apart.

    Args:
        read: the tensors that each layer reads.
        made: tensor -> the place of the layer that makes it.
    """
    last = {number: place for place, numbers in enumerate(read) for number in numbers}
    crossing = [sum(made[x] < place <= end for x, end in last.items()) for place in range(len(read))]
    count = max(1, round(math.sqrt(len(read) / LAYERS_A_BLOCK)))
    length = len(read) / count
    places = []
    for number in range(1, count):
        middle = number * length
        window = range(max(1, math.ceil(middle - length / 2)), math.ceil(middle + length / 2))
        places.append(min(window, key=lambda place: (crossing[place], abs(place - middle))))
    return places


def _states(layers):
    """The variables that layers change in the forward pass: those that replicas change by themselves, and draws."""
    inner = [each for layer in layers for each in (layer, *layer.submodules) if isinstance(each, keras.layers.Layer)]
    draws = {id(each): each.state.draws for each in inner if isinstance(each, Dropout) and each.rate}
    kept = {
        id(variable): variable
        for layer in layers
        for variable in layer.weights
        if variable.synchronization == tf.VariableSynchronization.ON_READ
    }
    return (*kept.values(), *draws.values())
