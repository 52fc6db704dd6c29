"""Networks compared by seed on the same pictures: differences of a measure, their intervals, and the seeds they take.

What a network makes of a picture is an array of counts; those of several pictures add up, and a measure is a function
of the sum. So the counts of a network are [seeds, pictures, …], in the same order of seeds and pictures as those of the
others. A comparison is a sum of measures with coefficients, such as 1 and −1, its terms: (coefficient, counts). All
values are in points, of percent. docs/claims.md says why the numbers are what they are.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

POINTS = 100.0
NORMAL = 1.959964 + 0.841621  # quantiles of a two-sided test at 5 % and of 80 % power
FOR_STUDENT = 2  # seeds more, for Student's t in place of the normal distribution
CAUTION = {5: 1.56}  # seeds of a pilot -> factor to the upper 80 % limit of a standard deviation
OF_PICTURES = 0.25  # of the variance over pictures, that the seeds may add where no number of seeds is enough
LEAST_SEEDS, MOST_SEEDS = 6, 20
LEVEL = 0.05
DRAWS = 10_000
AT_ONCE = 500  # draws

Term = tuple[float, np.ndarray]
Measure = Callable[[np.ndarray], np.ndarray]  # sums of counts [..., *one picture's] -> points [...]


def differences(terms: Sequence[Term], measure: Measure) -> np.ndarray:
    """The comparison by seed, in points: terms of [S, P, …] -> [S]."""
    return sum(coefficient * measure(counts.sum(axis=1)) for coefficient, counts in terms)


def bootstrap(
    terms: Sequence[Term],
    measure: Measure,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    seeds: bool = True,
    pictures: bool = True,
) -> np.ndarray:
    """The comparison's mean over the seeds, in points, in draws with replacement: terms of [S, P, …] -> [draws].

    A draw takes the same pictures and seeds for all networks.

    Args:
        terms: the coefficients and counts.
        measure: of summed counts.
        draws: how many.
        seed: of the draws.
        seeds: whether seeds are drawn; otherwise each counts once.
        pictures: whether pictures are drawn; otherwise each counts once.
    """
    rng, (number, count, *shape) = np.random.default_rng(seed), terms[0][1].shape
    flat = [(factor, np.asarray(counts, np.float64).reshape([number, count, -1])) for factor, counts in terms]
    found = []
    for begin in range(0, draws, AT_ONCE):
        size = min(AT_ONCE, draws - begin)
        of_pictures = _weights(rng, size, count) if pictures else np.ones([size, count])
        of_seeds = _weights(rng, size, number) if seeds else np.ones([size, number])
        summed = ((factor, (of_pictures @ counts).reshape([number, size, *shape])) for factor, counts in flat)
        compared = sum(factor * measure(each) for factor, each in summed)
        found.append(np.sum(of_seeds.T * compared, axis=0) / number)
    return np.concatenate(found)


def _weights(rng, size, count):
    """How often each of `count` is in each of `size` draws: [size, count]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def mean_ious(matrices: np.ndarray) -> np.ndarray:
    """mIoU of many confusion matrices, in points: [..., K, K] -> [...].

    A class that is neither true nor predicted does not count.
    """
    matrices = np.asarray(matrices, np.float64)
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    union = matrices.sum(axis=-1) + matrices.sum(axis=-2) - right
    return POINTS * _mean_of_known(right, union)


def mean_object_ious(sums: np.ndarray) -> np.ndarray:
    """The mean over the classes of the mean IoU of their objects, in points: [..., K, 2] -> [...].

    A class without objects does not count.

    Args:
        sums: for each class, Σ IoU and the number of its objects.
    """
    sums = np.asarray(sums, np.float64)
    return POINTS * _mean_of_known(sums[..., 0], sums[..., 1])


def _mean_of_known(numerators, denominators):
    """The mean of the ratios whose denominator is not 0, over the last axis."""
    ratios = np.divide(numerators, denominators, out=np.zeros_like(denominators), where=denominators > 0)
    return ratios.sum(axis=-1) / np.maximum((denominators > 0).sum(axis=-1), 1)


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap draws."""
    low, high = np.percentile(drawn, [100 * LEVEL / 2, 100 - 100 * LEVEL / 2])
    return float(low), float(high)


def p_value(drawn: np.ndarray) -> float:
    """Twice the share of bootstrap draws on the rarer side of 0: two-sided, at least 2 / draws, at most 1."""
    rarer = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return min(2 * max(rarer, 1) / len(drawn), 1.0)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number by Holm's method: {name: p} -> {name: p}."""
    corrected, before = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.get)):
        before = max(before, min((len(p_values) - rank) * p_values[name], 1.0))
        corrected[name] = before
    return {name: corrected[name] for name in p_values}


def seeds_needed(deviation: float, picture_deviation: float, effect: float = 1.0) -> int:
    """How many paired seeds find a difference with 80 % power at 5 %: between 6 and 20.

    Where the pictures are too few for any number of seeds, as many as leave the variance to the pictures.

    Args:
        deviation: of the differences over seeds on the same pictures, in points, as a pilot gives it, with its caution.
        picture_deviation: of the mean difference over draws of the pictures, which more seeds do not lower.
        effect: the difference, in points.
    """
    room = (effect / NORMAL) ** 2 - picture_deviation**2
    needed = deviation**2 / room + FOR_STUDENT if room > 0 else deviation**2 / (OF_PICTURES * picture_deviation**2)
    return min(max(math.ceil(needed), LEAST_SEEDS), MOST_SEEDS)


def smallest_found(deviation: float, picture_deviation: float, seeds: int) -> float:
    """The smallest difference, in points, that so many seeds find with 80 % power."""
    return NORMAL * math.sqrt(deviation**2 / seeds + picture_deviation**2)


def outcome(low: float, high: float, p: float = 0.0, effect: float = 1.0) -> str:
    """What is said of a comparison.

    Args:
        low, high: its interval, in points.
        p: corrected for the number of comparisons; 0 where it is the only one.
        effect: that was looked for, in points.
    """
    if low > 0 or high < 0:
        said = "supported" if low > 0 else "contradicted"
        return said if p < LEVEL else f"undecided: {said} alone, not among the comparisons of the study"
    return "no effect of a point" if -effect < low and high < effect else "undecided"
