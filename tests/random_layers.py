"""Layers of Keras 2 and 3: with random weights, and what is inside of them."""

import numpy as np


def path_of(weight):
    """The names of the layers that a weight lies in, and its own."""
    return getattr(weight, "path", weight.name)


def randomize(layer, seed=0):
    """Gives every weight of a built layer a random value, positive for variances, and returns the layer."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        shape = tuple(weight.shape)
        if "variance" in weight.name or "gamma" in weight.name or "factor" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        else:
            weight.assign(rng.normal(scale=1 / np.sqrt(max(1, np.prod(shape[:-1]))), size=shape))
    return layer


def layers_inside(layer):
    """A layer and all layers inside of it, each once."""
    return list({id(part): part for part in layer._flatten_layers()}.values())


def weights_of(layer, name):
    """The values of the sublayer called `name`, wherever it is inside of `layer`, in Keras' order."""
    found = [part for part in layers_inside(layer) if part.name == name]
    assert len(found) == 1, f"{len(found)} sublayers are called {name!r}"
    return [np.asarray(weight) for weight in found[0].weights]
