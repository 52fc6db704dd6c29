"""Class-aware regularization in loops over the thesis's indices (Sect. 4.3), one replica, one group of pixels.

`X` is [HW, C], `y` [HW] holds labels; one outside of 0…K−1 is ignored, and its row of the one-hot Y is zero. `mu` is
[K, C]. Each function returns the numbers D that f_mse averages.
"""

import numpy as np

from tests.literal.caa import softmax


def one_hot(label, num_classes):
    """The row of Y of a pixel."""
    return np.array([float(label == k) for k in range(num_classes)])


def resize_nearest(labels, height, width):
    """[H, W] -> [height, width]: the nearest label, the corners being the corners."""
    rows, columns = (
        [int(np.floor(i * (n - 1) / (m - 1) + 0.5)) if m > 1 else 0 for i in range(m)]
        for n, m in zip(labels.shape, (height, width), strict=True)
    )
    return np.array([[labels[i, j] for j in columns] for i in rows])


def class_centers(X, y, num_classes):
    """Eq. 4.1; 0 where a class has no pixel."""
    centers = np.zeros([num_classes, X.shape[1]])
    for k in range(num_classes):
        members = [x for x, label in zip(X, y, strict=True) if label == k]
        if members:
            centers[k] = sum(members) / len(members)
    return centers


def intra_c2p(X, y, mu):
    """Eq. 4.3: one row of C distances for each pixel, zero for one that is ignored."""
    rows = []
    for x, label in zip(X, y, strict=True):
        sigma = 0.0 if 0 <= label < len(mu) else 1.0
        rows.append((1 - sigma) * np.abs(one_hot(label, len(mu)) @ mu - x))
    return np.array(rows)


def inter_c2c(query, key, threshold):
    """Eq. 4.4–4.6, μ in its two roles: one number for each class."""
    num_classes, channels = query.shape
    numbers = []
    for k in range(num_classes):
        similarities = softmax([query[k] @ key[other] / np.sqrt(channels) for other in range(num_classes)])
        excess = [max((k != other) * a - threshold / (num_classes - 1), 0) for other, a in enumerate(similarities)]
        numbers.append(sum(excess))
    return np.array(numbers)


def inter_c2p(X, y, mu, threshold, *, printed=False, scaled=False):
    """Eq. 4.8–4.13: one number for each pixel.

    `printed` adds the diagonal as Eq. 4.10 does; otherwise it replaces, as the text says. `scaled` divides by √C.
    """
    num_classes, channels = mu.shape
    diagonal = np.array([center @ center for center in mu])
    numbers = []
    for x, label in zip(X, y, strict=True):
        row = one_hot(label, num_classes)
        similarities = np.array([center @ x for center in mu])
        replaced = similarities * (1 - row) + (diagonal if printed else diagonal * row)
        a = softmax(replaced / np.sqrt(channels) if scaled else replaced)
        numbers.append(sum(max((1 - row[k]) * a[k] - threshold / (num_classes - 1), 0) for k in range(num_classes)))
    return np.array(numbers)


def mean_of_squares(D):
    """f_mse as the text names it."""
    return np.mean([d**2 for d in np.ravel(D)])


def square_of_mean(D):
    """f_mse as the author's code has it."""
    return np.mean(np.ravel(D)) ** 2


def predicted_labels(logits, threshold):
    """Sect. 4.7, pixel by pixel: the class of the largest probability, where that is at least the threshold, or 255."""
    labels = np.full(logits.shape[:3], 255, "int32")
    for index in np.ndindex(labels.shape):
        probabilities = softmax(list(logits[index]))
        if max(probabilities) >= threshold:
            labels[index] = int(np.argmax(probabilities))
    return labels
