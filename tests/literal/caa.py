"""Axial and channelized attention of one image, in loops over the thesis's indices.

(i, j) is the query's pixel, m and n the row and the column attended to. `theta` and `phi` are arrays [H, W, D], `g` is
[H, W, C]; a perceptron is a list of matrices.
"""

import numpy as np


def softmax(energies):
    """exp(e) / Σ exp(e) of a list of numbers."""
    powers = np.exp(np.array(energies) - np.max(energies))
    return powers / powers.sum()


def column_weights(theta, i, j):
    """A_col(x_ij, x_mj) for all m (Eq. 3.3)."""
    return softmax([theta[i, j] @ theta[m, j] for m in range(theta.shape[0])])


def row_weights(phi, i, j):
    """A_row(x_ij, x_in) for all n (Eq. 3.4)."""
    return softmax([phi[i, j] @ phi[i, n] for n in range(phi.shape[1])])


def perceptron(mean, matrices, slope):
    """Sigmoid(… ReLU(mean ω_1) … ω_2) of Eq. 3.9 with leaky ReLU (Sect. 3.3.2.3)."""
    *hidden, last = matrices
    for matrix in hidden:
        mean = mean @ matrix
        mean = np.where(mean > 0, mean, slope * mean)
    return 1 / (1 + np.exp(-(mean @ last)))


def axial_attention(theta, phi, g):
    """Eq. 3.5: the rows attend to what the columns have summed."""
    height, width, _ = g.shape
    columns, result = np.zeros(g.shape), np.zeros(g.shape)
    for i in range(height):
        for j in range(width):
            for m, weight in enumerate(column_weights(theta, i, j)):
                columns[i, j] += weight * g[m, j]
    for i in range(height):
        for j in range(width):
            for n, weight in enumerate(row_weights(phi, i, j)):
                result[i, j] += weight * columns[i, n]
    return result


def channelized_axial_attention(theta, phi, g, column_gate, row_gate, slope):
    """Eq. 3.6–3.11, with every α and every β."""
    height, width, channels = g.shape
    alpha = np.zeros([height, width, height, channels])
    for i in range(height):
        for j in range(width):
            for m, weight in enumerate(column_weights(theta, i, j)):
                alpha[i, j, m] = weight * g[m, j]
    columns = np.zeros(g.shape)
    for i in range(height):
        total = sum(alpha[i, j, m] for m in range(height) for j in range(width))
        gate = perceptron(total / (height * width), column_gate, slope)
        for j in range(width):
            columns[i, j] = sum(gate * alpha[i, j, m] for m in range(height))
    beta = np.zeros([height, width, width, channels])
    for i in range(height):
        for j in range(width):
            for n, weight in enumerate(row_weights(phi, i, j)):
                beta[i, j, n] = weight * columns[i, n]
    result = np.zeros(g.shape)
    for j in range(width):
        total = sum(beta[i, j, n] for i in range(height) for n in range(width))
        gate = perceptron(total / (height * width), row_gate, slope)
        for i in range(height):
            result[i, j] = sum(gate * beta[i, j, n] for n in range(width))
    return result


def channelized_self_attention(theta, g, gate, slope):
    """Eq. 3.1 and 3.2, broken down and channelized for each pixel on its own (Table 3.3)."""
    height, width, _ = g.shape
    places = [(m, n) for m in range(height) for n in range(width)]
    result = np.zeros(g.shape)
    for i, j in places:
        weights = softmax([theta[i, j] @ theta[place] for place in places])
        alpha = [weight * g[place] for weight, place in zip(weights, places, strict=True)]
        channel_weights = perceptron(sum(alpha) / len(places), gate, slope)
        result[i, j] = sum(channel_weights * product for product in alpha)
    return result
