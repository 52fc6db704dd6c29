"""Weights and images that are the same wherever they are made: only what a network makes of them need be stored.

NumPy alone, of a generator whose stream NumPy has frozen, so that another framework can have them too.
"""

import zlib

import numpy as np


def seeded_tensors(shapes):
    """{timm's name: shape} -> {name: float32 tensor}; each depends on its name and shape only.

    No normalization is left at 0 and 1, variances are positive, and features keep their scale through the network.
    """
    return {name: seeded_tensor(name, shape) for name, shape in shapes.items()}


def seeded_tensor(name, shape):
    """One tensor; batch normalization's counter is an integer."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    uniform = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return (0.5 + uniform).astype(np.float32)
    scale = 0.2 if len(shape) == 1 else np.sqrt(12 / np.prod(shape[1:]))  # a kernel: variance 1 / fan-in
    return ((uniform - 0.5) * scale).astype(np.float32)


def seeded_image(size):
    """An image [1, size, size, 3], as the first convolution sees it."""
    return (4 * np.random.RandomState(size).random_sample([1, size, size, 3]) - 2).astype(np.float32)


def sampled(shape, count=64):
    """The indices of some of an array's elements, for `ndarray.ravel()[…]`."""
    return np.random.RandomState(0).randint(0, np.prod(shape), count)
