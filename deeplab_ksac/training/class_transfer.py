"""Weights from one model to another whose classes may be others: classes are told apart by their names."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.stems import adapted_stem, fits_stem
from deeplab_ksac.bands import RGB
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import LoadedModel


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What a model can take from another, before anything is taken.

    Attributes:
        taken: layers of the target with the values of their weights.
        new: names of the layers that keep their own weights.
        classes: names of the target's classes whose weights are taken.
        new_classes: names of those whose weights stay as they are.
    """

    taken: tuple[tuple[keras.layers.Layer, list[np.ndarray]], ...]
    new: tuple[str, ...]
    classes: tuple[str, ...]
    new_classes: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of the target's layers that have weights."""
        return len(self.taken) + len(self.new)

    def carry_out(self) -> None:
        """Gives the target the weights."""
        for layer, values in self.taken:
            layer.set_weights(values)


def plan_transfer(source: LoadedModel, target: keras.Model, class_names: Sequence[str]) -> Transfer:
    """What a model can take: the weights of equally named layers whose shapes agree but for the number of classes.

    Where the classes are others, an axis that is as long as there are classes is taken by their names, in classifiers
    wherever in the model they are; the target's own values stay for a class that the source does not have, and a layer
    that holds nothing else stays new where no class agrees. The first kernel of a model that was trained on RGB is
    adapted to other images (`backbones.stems`).

    Args:
        source: the other model.
        target: what takes the weights; it is not changed.
        class_names: of the target's logits, in order.
    """
    theirs, ours = tuple(source.info.class_names), tuple(class_names)
    pairs = {place: theirs.index(name) for place, name in enumerate(ours) if name in theirs}
    build = partial(build_model, source.experiment.model, bands=source.info.bands)
    axes = {} if theirs == ours else class_axes(source.model, build)
    channels = target.input_shape[-1] if source.info.bands.is_rgb else RGB.number
    others = {layer.name: layer for layer in source.model.layers}
    taken, new = [], []
    for layer in target.layers:
        if not layer.weights:
            continue
        twin, along = others.get(layer.name), axes.get(layer.name, [None] * len(layer.weights))
        values = None if twin is None else _values(twin, layer, along, pairs, len(ours), channels)
        if values is None or (not pairs and None not in along):
            new.append(layer.name)
        else:
            taken.append((layer, values))
    classes = tuple(ours[place] for place in pairs)
    return Transfer(tuple(taken), tuple(new), classes, tuple(name for name in ours if name not in classes))


def class_axes(model: keras.Model, build: Callable[[int], keras.Model]) -> dict[str, list[int | None]]:
    """{layer: for each of its weights the axis along which there is a number for each class, or None}.

    It is what is longer by one in the model of one more class, so that no layer has to say it.

    Args:
        model: has "logits".
        build: number of classes -> a model that is built like it.
    """
    longer = build(model.output["logits"].shape[-1] + 1)
    return {
        layer.name: [_longer_axis(*pair) for pair in zip(layer.weights, twin.weights, strict=True)]
        for layer, twin in zip(model.layers, longer.layers, strict=True)
        if layer.weights
    }


def _longer_axis(weight, longer):
    sides = enumerate(zip(weight.shape, longer.shape, strict=True))
    return next((axis for axis, (one, other) in sides if other == one + 1), None)


def _values(twin, layer, along, pairs, number, channels):
    """What a layer's weights become; None where those of its twin are of other shapes."""
    if len(twin.weights) != len(layer.weights):
        return None
    values = []
    for theirs, ours, axis in zip(twin.get_weights(), layer.get_weights(), along, strict=True):
        if axis is None and fits_stem(theirs, ours.shape, channels):
            fits, value = True, adapted_stem(theirs, channels)
        elif axis is None:
            fits, value = theirs.shape == ours.shape, theirs
        else:
            fits = ours.shape == (*theirs.shape[:axis], number, *theirs.shape[axis + 1 :])
            value = _by_class(theirs, ours, axis, pairs) if fits else None
        if not fits:
            return None
        values.append(value)
    return values


def _by_class(theirs, ours, axis, pairs):
    """`ours`, with those of `theirs` in the places of their classes, {place in ours: place in theirs}."""
    value = ours.copy()
    np.moveaxis(value, axis, 0)[list(pairs)] = np.moveaxis(theirs, axis, 0)[list(pairs.values())]
    return value
