"""Variables that begin as zeros, where nothing reads their initial values."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def zero_weights() -> Iterator[None]:
    """Inside, variables begin as zeros: a model that is only counted, or filled next, needs no random numbers."""

    def create(next_creator, **arguments):
        shape, dtype = arguments.get("shape"), arguments.get("dtype")
        if shape is not None and dtype is not None and tf.TensorShape(shape).is_fully_defined():
            arguments["initial_value"] = lambda: tf.zeros(shape, dtype)
        return next_creator(**arguments)

    with tf.variable_creator_scope(create):
        yield
