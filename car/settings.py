"""The choices that Sect. 4.3 leaves open, and those in which the author's published code departs from it."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

TERMS = ("intra_c2p", "inter_c2c", "inter_c2p")
CHOICES = {
    "reduction": ("mean_of_squares", "square_of_mean"),
    "averaged_over": ("global_batch", "replica"),
    "own_similarity": ("replaced", "added"),
    "ignored_pixels": ("excluded", "counted"),
}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


@dataclasses.dataclass(frozen=True)
class ClassAwareSettings:
    """How the three losses are computed. The defaults are the thesis's equations with the author's fixed centers.

    `ClassAwareSettings.thesis()` is Sect. 4.3 to the letter, `ClassAwareSettings.author()` the objective of the
    author's published code.

    Attributes:
        c2c_threshold: ε₀ of Eq. 4.6, in [0, 1]; 0.25 in the rows of Table 4.5 that are marked §.
        c2p_threshold: ε₁ of Eq. 4.13, in [0, 1].
        reduction: f_mse of Eq. 4.2, 4.7 and 4.14. "mean_of_squares" is the mean squared error that the text names,
            "square_of_mean" the square of the mean absolute error that the author's code computes.
        averaged_over: what f_mse's mean is taken over: "global_batch", all replicas; or "replica", each replica's own
            share, whose results are then averaged. The author's code does the latter, so that its loss depends on the
            number of replicas.
        scaled_c2p: whether the similarities of Eq. 4.8 are divided by √C as those of Eq. 4.4 are.
        own_similarity: what Eq. 4.10 does with a pixel's similarity to its own class: "replaced" by the center's with
            itself, as the text says; or the formula as printed, by which that of every class is "added" to its column.
        fixed_centers: the terms through which no gradient reaches the centers, so that only pixels move; in inter_c2c
            it is the second factor of Eq. 4.4 that is fixed.
        ignored_pixels: "excluded" from every term and from its mean; or "counted", as by Eq. 4.3 and 4.8–4.14: at
            distance zero in intra_c2p, and pushed away from all K centers in inter_c2p.
        intra_floor: least value of intra_c2p, below which it has no gradient; 0 is none.
        inter_margin: the sums of Eq. 4.6 and 4.13 are clipped to [inter_margin, 1 − inter_margin]; 0 is no clip.

    Raises:
        ValueError: a value that is out of range, or a choice that there is not.
    """

    c2c_threshold: float = 0.5
    c2p_threshold: float = 0.25
    reduction: str = "mean_of_squares"
    averaged_over: str = "global_batch"
    scaled_c2p: bool = True
    own_similarity: str = "replaced"
    fixed_centers: tuple[str, ...] = TERMS
    ignored_pixels: str = "excluded"
    intra_floor: float = 0.0
    inter_margin: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.fixed_centers, tuple | list):
            raise ValueError(f"fixed_centers must be a tuple of terms, not {self.fixed_centers!r}")
        object.__setattr__(self, "fixed_centers", tuple(self.fixed_centers))
        for name in ("c2c_threshold", "c2p_threshold"):
            if not (is_number(getattr(self, name)) and 0 <= getattr(self, name) <= 1):
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)!r}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {getattr(self, name)!r}")
        unknown = [name for name in self.fixed_centers if name not in TERMS]
        if unknown:
            raise ValueError(f"fixed_centers names terms, which are {', '.join(TERMS)}, not {unknown[0]!r}")
        if not (is_number(self.intra_floor) and self.intra_floor >= 0):
            raise ValueError(f"intra_floor must be at least 0, not {self.intra_floor!r}")
        if not (is_number(self.inter_margin) and 0 <= self.inter_margin < 0.5):
            raise ValueError(f"inter_margin must lie in [0, 0.5), not {self.inter_margin!r}")
        if not isinstance(self.scaled_c2p, bool):
            raise ValueError(f"scaled_c2p must be True or False, not {self.scaled_c2p!r}")

    @classmethod
    def thesis(cls) -> "ClassAwareSettings":
        """Eq. 4.1–4.14 to the letter: gradients reach the centers everywhere, and nothing is scaled or left out that
        the equations do not."""
        return cls(scaled_c2p=False, own_similarity="added", fixed_centers=(), ignored_pixels="counted")

    @classmethod
    def author(cls) -> "ClassAwareSettings":
        """The objective of the author's published code."""
        return cls(
            reduction="square_of_mean",
            averaged_over="replica",
            ignored_pixels="counted",
            intra_floor=1e-5,
            inter_margin=1e-7,
        )

    @classmethod
    def of(cls, value: Any) -> "ClassAwareSettings":
        """Settings from settings, a mapping of some of their attributes, "thesis" or "author", or None (the defaults).

        Raises:
            ValueError: another name, or an attribute that there is not.
        """
        if isinstance(value, cls):
            return value
        if value is None:
            return cls()
        if isinstance(value, Mapping):
            names = [field.name for field in dataclasses.fields(cls)]
            unknown = sorted(set(value) - set(names))
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not a setting; the settings are {', '.join(names)}")
            return cls(**value)
        presets = {"thesis": cls.thesis, "author": cls.author}
        if not isinstance(value, str) or value not in presets:
            raise ValueError(f"settings must be a ClassAwareSettings, a mapping, 'thesis' or 'author', not {value!r}")
        return presets[value]()
