"""Convolution, normalization, pooling and bilinear resizing of one image [H, W, C], pixel by pixel."""

import numpy as np


def convolve(x, kernel, bias=0.0, rate=1):
    """A convolution with zero padding: kernel [k, l, C, D] -> [H, W, D]."""
    height, width, _ = x.shape
    result = np.zeros([height, width, kernel.shape[-1]]) + bias
    for i, j, a, b in np.ndindex(height, width, *kernel.shape[:2]):
        m, n = i + rate * (a - kernel.shape[0] // 2), j + rate * (b - kernel.shape[1] // 2)
        if 0 <= m < height and 0 <= n < width:
            result[i, j] += x[m, n] @ kernel[a, b]
    return result


def depthwise(x, kernel, rate=1):
    """A depthwise convolution with zero padding: kernel [k, l, C, 1] -> [H, W, C]."""
    return np.stack([convolve(x[..., [c]], kernel[:, :, [c]], rate=rate)[..., 0] for c in range(x.shape[-1])], axis=-1)


def normalize(x, gamma, beta, mean, variance, epsilon=1e-3):
    """Batch normalization with moving statistics."""
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def conv_norm_relu(x, kernel, *statistics, relu=True):
    """What a `ConvNormAct` with these weights gives at inference."""
    result = normalize(convolve(x, kernel), *statistics)
    return np.maximum(result, 0) if relu else result


def adaptive_average_pool(x, bins):
    """Means over the regions from ⌊k·n/bins⌋ to ⌈(k+1)·n/bins⌉ of both sides: [bins, bins, C]."""
    result = np.zeros([bins, bins, x.shape[-1]])
    for a, b in np.ndindex(bins, bins):
        rows = slice(int(np.floor(a * x.shape[0] / bins)), int(np.ceil((a + 1) * x.shape[0] / bins)))
        columns = slice(int(np.floor(b * x.shape[1] / bins)), int(np.ceil((b + 1) * x.shape[1] / bins)))
        result[a, b] = x[rows, columns].mean(axis=(0, 1))
    return result


def resize(x, height, width):
    """Bilinear with corners aligned: [height, width, C]."""
    result = np.zeros([height, width, x.shape[-1]])
    for i, j in np.ndindex(height, width):
        u = i * (x.shape[0] - 1) / (height - 1) if height > 1 else 0
        v = j * (x.shape[1] - 1) / (width - 1) if width > 1 else 0
        a, b = min(int(u), x.shape[0] - 1), min(int(v), x.shape[1] - 1)
        c, d = min(a + 1, x.shape[0] - 1), min(b + 1, x.shape[1] - 1)
        top = x[a, b] * (1 - v + b) + x[a, d] * (v - b)
        bottom = x[c, b] * (1 - v + b) + x[c, d] * (v - b)
        result[i, j] = top * (1 - u + a) + bottom * (u - a)
    return result
