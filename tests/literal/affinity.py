"""The affinity loss of CPNet for one image, pair by pair."""

import numpy as np


def affinity_loss(prior, pixel_labels, place_labels, num_classes):
    """prior [P, p] in (0, 1), labels [P] and [p] -> (unary, global); labels outside 0…K−1 do not count."""
    rows = [row for row, label in enumerate(pixel_labels) if 0 <= label < num_classes]
    places = [place for place, label in enumerate(place_labels) if 0 <= label < num_classes]
    unary, total = [], 0.0
    for row in rows:
        a = {place: float(pixel_labels[row] == place_labels[place]) for place in places}
        p = {place: prior[row, place] for place in places}
        unary += [-(a[x] * np.log(p[x]) + (1 - a[x]) * np.log(1 - p[x])) for x in places]
        if sum(a.values()) > 0:
            found = sum(a[x] * p[x] for x in places)
            total += np.log(found / sum(p.values())) + np.log(found / sum(a.values()))
        if sum(1 - a[x] for x in places) > 0:
            rejected = sum((1 - a[x]) * (1 - p[x]) for x in places)
            total += np.log(rejected / sum(1 - a[x] for x in places))
    return np.mean(unary), -total / len(rows)
