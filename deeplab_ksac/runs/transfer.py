"""Weights from a checkpoint to a model, and from one model to another."""

import tensorflow as tf

from deeplab_ksac.training.averaging import MovingAverages

REASON_LENGTH = 200


def restore_weights(model, path, averaged=None):
    """Reads a model's weights from a checkpoint; every weight must be there.

    Args:
        averaged: whether their moving averages are taken; None takes them where the checkpoint has some.

    Raises:
        ValueError: the checkpoint is of another model; or averages are asked for, and it has none.
    """
    held = any(name.startswith("averages/values/") for name, _ in tf.train.list_variables(path))
    if averaged and not held:
        raise ValueError(f"{path} has no moving averages; a stage with ema_decay above 0 keeps some")
    _read_all(path, model=model)
    if held and averaged in (None, True):
        averages = MovingAverages(model)
        _read_all(path, averages=averages)
        averages.copy_to(model)


def _read_all(path, **objects):
    """Reads objects from a checkpoint, in which all their variables must be, of the same shapes."""
    try:
        tf.train.Checkpoint(**objects).read(path).assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise ValueError(
            f"{path} is a checkpoint of another model than the one that is built here: {reason}"
        ) from error


def copy_weights(source, target):
    """Copies the weights of equally named layers whose shapes agree; returns the names of the layers left alone.

    Raises:
        ValueError: no layer agrees.
    """
    left, copied = [], 0
    for layer in target.layers:
        if not layer.weights:
            continue
        twin = next((other for other in source.layers if other.name == layer.name), None)
        if twin is None or [w.shape for w in twin.weights] != [w.shape for w in layer.weights]:
            left.append(layer.name)
            continue
        layer.set_weights(twin.get_weights())
        copied += 1
    if not copied:
        raise ValueError("the two models have no layer in common")
    return left
