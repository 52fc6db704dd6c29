"""Splits of `scenes` made to try one claim each: what is seen in training is not what is asked for after it.

`STUDIES` is {study: {split: rules}}, with rules as `scenes.THINGS`; every split has pictures of its own.
"""

import dataclasses
from collections.abc import Mapping

from deeplab_ksac.datasets.sources.scenes import THINGS, Thing

NARROW_BAND = (0.35, 0.60)  # of nearness: things of one kind differ in size by a factor of 1.7, not of 7

# The ground on which each thing stands in training, and those on which it is met for the first time in the test.
USUAL_GROUNDS = {
    "house": ("grass",),
    "tree": ("grass",),
    "car": ("road",),
    "person": ("sand",),
    "boat": ("water",),
    "animal": ("grass",),
    "ball": ("sand",),
}
UNUSUAL_GROUNDS = {
    "house": ("sand", "road"),
    "tree": ("sand", "road"),
    "car": ("grass", "sand", "water"),
    "person": ("grass", "road", "water"),
    "boat": ("grass", "sand", "road"),
    "animal": ("sand", "road", "water"),
    "ball": ("grass", "road", "water"),
}


def scaled(factor: float) -> dict[str, Thing]:
    """The rules with all things in a narrow band of distances, `factor` times as high as they are.

    Larger ones are fewer by the factor, or they would hide each other.
    """
    return {
        name: dataclasses.replace(
            thing, height=factor * thing.height, nearness=NARROW_BAND, rate=thing.rate / max(factor, 1.0)
        )
        for name, thing in THINGS.items()
    }


def standing_on(grounds: Mapping[str, tuple[str, ...]]) -> dict[str, Thing]:
    """The rules with the things on other grounds; each is tried for more often, since some grounds are rare."""
    return {
        name: dataclasses.replace(thing, grounds=grounds[name], rate=1.5 * thing.rate) for name, thing in THINGS.items()
    }


def small_and_many() -> dict[str, Thing]:
    """The rules with things of half the height, and twice as many: small objects surrounded by large grounds."""
    return {
        name: dataclasses.replace(thing, height=0.5 * thing.height, rate=2 * thing.rate)
        for name, thing in THINGS.items()
    }


STUDIES = {
    "scales": {"train": scaled(1.0), "seen": scaled(1.0), "larger": scaled(2.0), "smaller": scaled(0.5)},
    "small": {"train": small_and_many(), "seen": small_and_many()},
    "combinations": {
        "train": standing_on(USUAL_GROUNDS),
        "seen": standing_on(USUAL_GROUNDS),
        "unseen": standing_on(UNUSUAL_GROUNDS),
    },
}
