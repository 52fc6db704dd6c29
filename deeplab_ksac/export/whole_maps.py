"""A model whose attention over all pixels holds its whole map, for formats that have no loop that gathers tensors."""

from deeplab_ksac.keras2 import keras


def with_whole_maps(model: keras.Model) -> keras.Model:
    """The same model with the same weights, whose attention over all pixels is computed in one part.

    Args:
        model: functional; it stays as it is.

    Returns:
        A new model, or `model` where no layer computes its map in parts (none has `map_bytes`).
    """
    if not any(_in_parts(part) for part in model.submodules):
        return model
    copy = keras.models.clone_model(model, clone_function=_copied)
    copy.set_weights(model.get_weights())
    return copy


def _in_parts(part):
    return getattr(part, "map_bytes", None) is not None


def _copied(layer):
    """A layer of the same configuration whose attention has no bound of memory."""
    copy = type(layer).from_config(layer.get_config())
    for part in filter(_in_parts, (copy, *copy.submodules)):
        part.map_bytes = None
    return copy
