"""Layers with random weights, and what happens to them when they are saved."""

import numpy as np


def randomize(layer, seed=0):
    """Gives every weight of a built layer a random value, positive for variances, and returns the layer."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        shape = weight.shape.as_list()
        if "variance" in weight.name or "gamma" in weight.name or "factor" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        else:
            weight.assign(rng.normal(scale=1 / np.sqrt(max(1, np.prod(shape[:-1]))), size=shape))
    return layer


def weights_of(layer, name):
    """The values of the sublayer called `name`, wherever it is inside of `layer`, in Keras' order."""
    found = [part for part in layer.submodules if getattr(part, "name", None) == name]
    assert len(found) == 1, f"{len(found)} sublayers are called {name!r}"
    return [weight.numpy() for weight in found[0].weights]
