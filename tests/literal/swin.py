"""Attention in shifted windows on one map, pixel by pixel (Liu et al., ICCV 2021, Eq. 1-4, Fig. 2)."""

import numpy as np

from tests.literal.caa import softmax


def window_of(place, size, window, shift):
    """The window that a pixel lies in: of windows of `window` × `window` whose lines are `shift` pixels off; a side
    that fits into one window is one."""
    return tuple(
        0 if length <= window else (coordinate + window - shift) // window
        for coordinate, length in zip(place, size, strict=True)
    )


def window_attention(query, key, value, table, window, shift):
    """Every pixel attends to those of its window, with a bias for the relative position: [H, W, D], [H, W, D], [H, W,
    C], [2·window − 1, 2·window − 1] -> [H, W, C], one head."""
    size = query.shape[:2]
    result = np.zeros(value.shape)
    for place in np.ndindex(size):
        here = window_of(place, size, window, shift)
        seen = [other for other in np.ndindex(size) if window_of(other, size, window, shift) == here]
        energies = [
            query[place] @ key[other] / np.sqrt(query.shape[-1])
            + table[place[0] - other[0] + window - 1, place[1] - other[1] + window - 1]
            for other in seen
        ]
        result[place] = sum(weight * value[other] for weight, other in zip(softmax(energies), seen, strict=True))
    return result


def cyclic_shift_mask(size, window, shift):
    """Who sees whom in the published form, for sides that are multiples of `window`: the map is rolled by −shift, cut
    into windows, and pixels that were not neighbors before are masked; booleans [H·W, H·W] over the pixels."""
    pixels = list(np.ndindex(size))
    sees = np.zeros([len(pixels)] * 2, bool)
    for i, one in enumerate(pixels):
        for j, other in enumerate(pixels):
            rolled = [tuple((c - shift) % n for c, n in zip(place, size, strict=True)) for place in (one, other)]
            together = all(a // window == b // window for a, b in zip(*rolled, strict=True))
            regions = [
                tuple((r >= n - window) + (r >= n - shift) for r, n in zip(place, size, strict=True))
                for place in rolled
            ]
            sees[i, j] = together and regions[0] == regions[1]
    return sees
