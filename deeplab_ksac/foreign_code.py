"""Which models hold Python of somebody else, which AutoGraph has to convert before TensorFlow can trace it.

The parts of this package do not branch on tensors in Python, so that tracing them as they are gives the same graph in
two thirds of the time. A layer of one's own may hold `if tf.reduce_mean(x) > 0:`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import ModelSpec, Part
from deeplab_ksac.import_paths import is_import_path

TRACEABLE = {"caa", "car", "deeplab_ksac", "keras", "tensorflow", "tf_keras"}  # packages


def has_foreign_code(model: keras.Model, beside: Iterable[Any] = ()) -> bool:
    """Whether a model has a layer, at any depth, or there is `beside` it something callable, of another package."""
    layers = [each for each in model.submodules if isinstance(each, keras.layers.Layer)]
    wrapped = [layer.function for layer in layers if type(layer) is keras.layers.Lambda]
    return any(_package_of(each) not in TRACEABLE for each in (*layers, *wrapped, *beside))


def names_foreign_code(spec: ModelSpec) -> bool:
    """Whether a part of a `ModelSpec`, at any depth, is named by an import path."""
    return any(isinstance(name, str) and is_import_path(name) for name in _names_in(spec))


def _package_of(thing):
    of = thing if hasattr(thing, "__code__") else type(thing)  # a function, or the class of an object
    return of.__module__.partition(".")[0]


def _names_in(value):
    """What is called "name" in a part, or in the arguments of one."""
    if isinstance(value, Part | ModelSpec):
        value = vars(value)
    if isinstance(value, Mapping):
        yield value.get("name")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _names_in(each)
