"""Algorithm 1, loop by loop."""

import numpy as np


def atrous_convolution(features, kernel, rate):
    """Line 4: every pixel, every tap; what lies outside the map is zero. [N, h, w, I] · [3, 3, I, C]."""
    images, height, width, _ = features.shape
    result = np.zeros((images, height, width, kernel.shape[-1]))
    for n in range(images):
        for i in range(height):
            for j in range(width):
                for a in (-1, 0, 1):
                    for b in (-1, 0, 1):
                        y, x = i + rate * a, j + rate * b
                        if 0 <= y < height and 0 <= x < width:
                            result[n, i, j] += features[n, y, x] @ kernel[a + 1, b + 1]
    return result


def kernel_sharing_atrous_convolution(features, kernel, rates, normalizations):
    """Lines 3 to 6 and the sum: one kernel, a normalization of its own for every rate."""
    return sum(
        np.maximum(normalize(atrous_convolution(features, kernel, rate)), 0)
        for rate, normalize in zip(rates, normalizations, strict=True)
    )


def separable_kernel(pointwise, depthwise):
    """The 3×3 kernel that a 1×1 kernel [1, 1, I, C] and a depthwise one [3, 3, C, 1] after it stand for."""
    kernel = np.zeros((3, 3, *pointwise.shape[2:]))
    for a in range(3):
        for b in range(3):
            for c in range(pointwise.shape[3]):
                kernel[a, b, :, c] = pointwise[0, 0, :, c] * depthwise[a, b, c, 0]
    return kernel


def fractional_atrous_convolutions(features, kernel, rates):
    """A map for each column of the rates [N, R]: each image's between two whole rates, the shares of both."""
    branches = []
    for index in range(rates.shape[1]):
        images = []
        for image, rate in zip(features, rates[:, index], strict=True):
            below, share = int(np.floor(rate)), rate - np.floor(rate)
            lower, upper = (atrous_convolution(image[np.newaxis], kernel, whole) for whole in (below, below + 1))
            images.append((1 - share) * lower + share * upper)
        branches.append(np.concatenate(images))
    return branches
