"""How costs grow: with the size of the picture, classes, atrous rates, replicas and the size of a data set."""

import dataclasses
import functools
import pathlib
import statistics
import tempfile
from collections.abc import Callable, Mapping

import numpy as np

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.scripts.cases import (
    Bound,
    Case,
    attention,
    inference,
    pyramid,
    record_index,
    training,
    training_memory,
)

HEADER = f"{'cost':<20}{'by':<24}{'exponent':>9}  {'quartiles':<14}{'theory':>6}  seconds"


@dataclasses.dataclass(frozen=True)
class Growth:
    """One cost at several sizes.

    Attributes:
        what: costs.
        by: what it grows with.
        exponent: of the size, as theory has it.
        sides: size -> as the sides of a `Case`.
    """

    what: str
    by: str
    exponent: float
    sides: Mapping[int, Callable]

    def case(self) -> Case:
        """The sizes as sides that take turns."""
        sides = {str(size): side for size, side in self.sides.items()}
        first = next(iter(sides))
        return Case(f"{self.what}, by {self.by}", sides, tuple(Bound(side, first, None) for side in sides))


@dataclasses.dataclass(frozen=True)
class Grown:
    """A cost that was measured.

    Attributes:
        growth: what was measured.
        seconds: of each size, the medians over the rounds.
        exponent, quartiles: of the straight lines through each round's logarithms, their median and quartiles.
    """

    growth: Growth
    seconds: tuple[float, ...]
    exponent: float
    quartiles: tuple[float, float]


def grown(growth: Growth, seconds: Mapping[str, list[float]]) -> Grown:
    """What the seconds of each size, a value a round, say."""
    sizes = list(growth.sides)
    columns = [seconds[str(size)] for size in sizes]
    slopes = [slope(sizes, row) for row in zip(*columns, strict=True)]
    low, _, high = statistics.quantiles(slopes, n=4) if len(slopes) > 1 else 3 * slopes
    medians = tuple(map(statistics.median, columns))
    return Grown(growth, medians, statistics.median(slopes), (low, high))


def line(found: Grown) -> str:
    """A line of the table below `HEADER`."""
    growth, quartiles = found.growth, "–".join(f"{value:.2f}" for value in found.quartiles)
    seconds = ", ".join(f"{size:,}: {value:.3g}" for size, value in zip(growth.sides, found.seconds, strict=True))
    numbers = f"{found.exponent:>9.2f}  {quartiles:<14}{growth.exponent:>6g}"
    return f"{growth.what:<20}{growth.by:<24}{numbers}  {seconds}"


def slope(sizes, seconds):
    """The exponent of the power law that is nearest to the logarithms of the seconds."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def convert(pictures):
    """A callable that converts so many painted pictures."""
    folder = tempfile.TemporaryDirectory(prefix="benchmark_")
    training.KEPT.append(folder)
    place = pathlib.Path(folder.name)
    scenes.generate(place / "raw", counts={"train": pictures, "val": 1}, size=(120, 160))
    return lambda: records.write_records("scenes", place / "raw", place / "data", overwrite=True)


def ksac(atrous_rates, side):
    """KSAC's shared product on a map, forward."""
    return pyramid.prepare(pyramid.shared_atrous_products, 0, side, atrous_rates, False)


def aspp(atrous_rates, side):
    """The convolutions of ASPP on a map, forward."""
    return pyramid.prepare(pyramid.separate_products, len(atrous_rates), side, atrous_rates, False)


def attend(layer, side):
    """A layer of `attention` on a map, forward."""
    return attention.prepare(layer, side, side, False)


def step(side):
    """A training step of two pictures."""
    return training_memory.step(training_memory.SMALL, classes=21, images=2, side=side)


def loss(classes):
    """Cross-entropy and its gradient of one picture."""
    return training_memory.loss(True, classes=classes, images=1)


def step_of_replicas(replicas):
    """A training step of one batch that so many logical devices share."""
    return training.in_a_process(experiment="small", replicas=replicas)


def first_batch(records):
    """From nothing to the first batch of a set of so many records."""
    return record_index.prepare("index", records)


def of_sizes(side_of, sizes):
    """{size: its side}."""
    return {size: functools.partial(side_of, size) for size in sizes}


def of_pixels(side_of, *sides):
    """{pixels of a map or picture: its side}."""
    return {side**2: functools.partial(side_of, side=side) for side in sides}


def of_rates(side_of):
    """{how many atrous rates of a map of 33×33: its side}."""
    return {count: functools.partial(side_of, RATES[:count], 33) for count in SOME}


SOME = (1, 2, 4, 8)
RATES = (6, 12, 18, 24, 3, 9, 15, 21)
THREE = (6, 12, 18)
CLASSES = (21, 42, 84, 168)
GROWTHS = (
    Growth("KSAC", "pixels", 1.0, of_pixels(functools.partial(ksac, THREE), 33, 65, 129)),
    Growth("ASPP", "pixels", 1.0, of_pixels(functools.partial(aspp, THREE), 33, 65, 129)),
    Growth("CAA", "pixels", 1.5, of_pixels(functools.partial(attend, "channelized"), 33, 65, 129)),
    Growth("self-attention", "pixels", 2.0, of_pixels(functools.partial(attend, "every_pixel"), 17, 33, 65)),
    Growth("training step", "pixels", 1.0, of_pixels(step, 129, 257, 513)),
    Growth("loss and gradient", "classes", 1.0, of_sizes(loss, CLASSES)),
    Growth("confusion matrix", "classes", 0.0, of_sizes(inference.prepare_metrics, CLASSES)),
    Growth("KSAC", "atrous rates", 0.0, of_rates(ksac)),
    Growth("ASPP", "atrous rates", 1.0, of_rates(aspp)),
    Growth("step of one batch", "replicas on two cores", 0.0, of_sizes(step_of_replicas, SOME)),
    Growth("conversion", "pictures of a data set", 1.0, of_sizes(convert, (100, 1_000, 3_000))),
    Growth("first batch", "pictures of a data set", 0.0, of_sizes(first_batch, (1_000, 10_000, 100_000))),
)
