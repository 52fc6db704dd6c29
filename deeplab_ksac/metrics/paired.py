"""Two networks compared by seed on the same pictures: difference of mIoU, its intervals, and the seeds that it takes.

What is compared are confusion matrices [seeds, pictures, K, K] of the two, in the same order of seeds and pictures. All
differences are in points, 0.01 of mIoU. docs/claims.md says why the numbers are what they are.
"""

import math

import numpy as np

from deeplab_ksac.metrics.confusion import mean_iou

POINTS = 100.0
NORMAL = 1.959964 + 0.841621  # quantiles of a two-sided test at 5 % and of 80 % power
FOR_STUDENT = 2  # seeds more, for Student's t in place of the normal distribution
CAUTION = {5: 1.56}  # seeds of a pilot -> factor to the upper 80 % limit of a standard deviation
LEAST_SEEDS, MOST_SEEDS = 6, 20
DRAWS = 10_000
AT_ONCE = 500  # draws


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """mIoU of the first minus that of the second, in points, by seed: [S, P, K, K] twice -> [S]."""
    one, other = (np.array([mean_iou(matrix) for matrix in each.sum(axis=1)]) for each in (first, second))
    return POINTS * (one - other)


def bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    seeds: bool = True,
    pictures: bool = True,
) -> np.ndarray:
    """The mean difference over the seeds, in points, in draws with replacement: [S, P, K, K] twice -> [draws].

    A draw takes the same pictures and seeds for both networks.

    Args:
        first, second: the confusion matrices.
        draws: how many.
        seed: of the draws.
        seeds: whether seeds are drawn; otherwise each counts once.
        pictures: whether pictures are drawn; otherwise each counts once.
    """
    rng, (number, count, classes, _) = np.random.default_rng(seed), first.shape
    flat = [np.asarray(each, np.float64).reshape([number, count, classes * classes]) for each in (first, second)]
    found = []
    for begin in range(0, draws, AT_ONCE):
        size = min(AT_ONCE, draws - begin)
        of_pictures = _weights(rng, size, count) if pictures else np.ones([size, count])
        of_seeds = _weights(rng, size, number) if seeds else np.ones([size, number])
        one, other = (mean_ious((of_pictures @ each).reshape([number, size, classes, classes])) for each in flat)
        found.append(np.sum(of_seeds.T * (one - other), axis=0) / number)
    return POINTS * np.concatenate(found)


def _weights(rng, size, count):
    """How often each of `count` is in each of `size` draws: [size, count]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def mean_ious(matrices: np.ndarray) -> np.ndarray:
    """`mean_iou` of many: [..., K, K] -> [...]; a class that is neither true nor predicted does not count."""
    matrices = np.asarray(matrices, np.float64)
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    union = matrices.sum(axis=-1) + matrices.sum(axis=-2) - right
    iou = np.divide(right, union, out=np.zeros_like(union), where=union > 0)
    return iou.sum(axis=-1) / np.maximum((union > 0).sum(axis=-1), 1)


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap draws."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def seeds_needed(deviation: float, picture_deviation: float, effect: float = 1.0) -> int | None:
    """How many paired seeds find a difference with 80 % power at 5 %: between 6 and 20; None where no number does.

    Args:
        deviation: of the differences over seeds on the same pictures, in points, as a pilot gives it, with its caution.
        picture_deviation: of the mean difference over draws of the pictures, which more seeds do not lower.
        effect: the difference, in points.
    """
    room = (effect / NORMAL) ** 2 - picture_deviation**2
    if room <= 0:
        return None
    return min(max(math.ceil(deviation**2 / room) + FOR_STUDENT, LEAST_SEEDS), MOST_SEEDS)


def smallest_found(deviation: float, picture_deviation: float, seeds: int) -> float:
    """The smallest difference, in points, that so many seeds find with 80 % power."""
    return NORMAL * math.sqrt(deviation**2 / seeds + picture_deviation**2)


def outcome(low: float, high: float, effect: float = 1.0) -> str:
    """What is said of a difference, by its interval and the effect that was looked for, both in points."""
    if low > 0:
        return "supported"
    if high < 0:
        return "contradicted"
    return "no effect of a point" if -effect < low and high < effect else "undecided"
