"""The first kernel of a network that was trained on RGB, for images of other bands."""

import numpy as np


def fits_stem(kernel: np.ndarray, shape: tuple[int, ...], channels: int) -> bool:
    """Whether a kernel [h, w, 3, C'] is that of a first convolution of shape [h, w, C, C'] on images of C channels."""
    if len(shape) != 4 or channels == 3:
        return False
    return shape[2] == channels and kernel.shape == (*shape[:2], 3, shape[3])


def adapted_stem(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The first kernel for images of C channels: [h, w, 3, C'] -> [h, w, C, C'], as timm does it.

    For one channel it is the sum over R, G and B, so that a gray image gives what it gives as RGB. For more, R, G and B
    are taken in turn, times 3 / C, so that what they sum up to stays of its size.
    """
    kernel = kernel.astype("float32", copy=False)
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % 3] * np.float32(3 / channels)
