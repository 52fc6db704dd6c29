"""Random weights and normalization statistics under which a network's features keep their scale."""

import numpy as np


def randomize(model, seed=0):
    """Gives every weight a value that matters: no normalization is left at 0 and 1, no two channels are alike."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([_value(rng, weight) for weight in layer.weights])


def _value(rng, weight):
    if "gamma" in weight.name or "variance" in weight.name:
        return rng.uniform(0.5, 1.5, weight.shape)
    if "kernel" in weight.name:
        fan_in = np.prod(weight.shape[:2] if "depthwise" in weight.name else weight.shape[:-1])
        return rng.normal(size=weight.shape) / np.sqrt(fan_in)
    return 0.3 * rng.normal(size=weight.shape)
