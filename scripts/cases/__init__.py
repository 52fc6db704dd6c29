"""What `ksac benchmark` compares: each module gives cases, each case gives the sides of one comparison."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a ratio of two sides must reach: `side` / `against` ≤ `at_most`, of "time" or of "memory".

    `at_most` None asks for nothing: the ratio is only reported.
    """

    side: str
    against: str
    at_most: float | None
    of: str = "time"


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        title: what is compared, at which size.
        sides: name -> a function that prepares the side and returns a callable that runs it once. What the callable
            takes is measured, unless it returns a float: the seconds it measured itself.
        bounds: the ratios that are asked for.
        work: name -> how much one run does, where the sides do different amounts (images, say); the times are divided.
        told: after the rounds, what no ratio shows, a line each.
    """

    title: str
    sides: Mapping[str, Callable]
    bounds: tuple[Bound, ...]
    work: Mapping[str, float] = dataclasses.field(default_factory=dict)
    told: Callable[[], Sequence[str]] = tuple

    def sides_measured_in(self, quantity):
        """The sides that some bound of "time" or of "memory" names."""
        named = {name for bound in self.bounds if bound.of == quantity for name in (bound.side, bound.against)}
        return [name for name in self.sides if name in named]
