"""Which record is at which position of a training run: a pure function of (sizes, weights, seed, position)."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

SLOTS = 10_000  # of a round of weighted sources: weights are kept to this precision


class RunOrder:
    """The records of a run, in rounds that can each be computed without the ones before.

    Without weights a round is an epoch: every record of every source once, shuffled over all of them. With weights a
    round is 10,000 positions, of which each source has its share, at places of their own in each round; inside its
    share a source goes through its own epochs, every record once in each.

    Args:
        sizes: number of records of each source. Record i of source s has the number sum(sizes[:s]) + i.
        seed: of the order, at least 0.
        weights: how often each source is drawn, relative to the others; empty for plain concatenation.

    Raises:
        ValueError: a negative seed, or weights that are not one positive number for each source.
    """

    def __init__(self, sizes: Sequence[int], seed: int, weights: Sequence[float] = ()):
        if seed < 0:
            raise ValueError(f"seed must be at least 0, not {seed}")
        self.sizes, self.seed = tuple(sizes), seed
        self.starts = np.cumsum([0, *self.sizes])
        self.shares = shares(weights, len(self.sizes)) if weights else ()
        self.round_length = SLOTS if weights else int(self.starts[-1])

    def round(self, number: int) -> np.ndarray:
        """The records of round `number`, in order: int64 [round_length]."""
        if not self.shares:
            return self._permutation(int(self.starts[-1]), number)
        slots, records = self._permutation(SLOTS, number), np.empty(SLOTS, np.int64)
        bounds = np.cumsum([0, *self.shares])
        for source, share in enumerate(self.shares):
            records[bounds[source] : bounds[source + 1]] = self._of_source(source, number * share, share)
        return records[slots]

    def records(self, first: int, count: int) -> np.ndarray:
        """The records at the positions first … first + count - 1: int64 [count]."""
        number, skipped = divmod(first, self.round_length)
        rounds = itertools.islice(itertools.count(number), -(-(skipped + count) // self.round_length))
        return np.concatenate([self.round(each) for each in rounds])[skipped : skipped + count]

    def _of_source(self, source, first, count):
        """The records of a source's own epochs, from its draw `first` on."""
        size = self.sizes[source]
        epoch, skipped = divmod(first, size)
        epochs = range(epoch, epoch + -(-(skipped + count) // size))
        drawn = np.concatenate([self._permutation(size, each, source + 1) for each in epochs])
        return self.starts[source] + drawn[skipped : skipped + count]

    def _permutation(self, length, *key):
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, *key]))).permutation(length)


def shares(weights: Sequence[float], sources: int) -> tuple[int, ...]:
    """How many of 10,000 positions each source has: the weights by largest remainder.

    Raises:
        ValueError: not one positive number for each source, or one too small for a single position.
    """
    if len(weights) != sources or not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError(f"weights must be one positive number for each of the {sources} sources, not {tuple(weights)}")
    exact = np.asarray(weights, np.float64) / sum(weights) * SLOTS
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: SLOTS - counts.sum()]] += 1
    if counts.min() == 0:
        raise ValueError(f"weights {tuple(weights)}: the smallest is below 1/{SLOTS} of their sum")
    return tuple(map(int, counts))
