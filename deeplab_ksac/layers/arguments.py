"""What layers' arguments may be: levels of the pyramid, atrous rates. Wrong ones are errors when a layer is made."""

from collections.abc import Sequence
from typing import Any

from deeplab_ksac.arguments import LARGEST_RATE, in_interval

LEVELS = ("c2", "c3", "c4", "c5")


def require_levels(**arguments: Any) -> None:
    """Raises ValueError, naming the argument and its value, unless each is a level of a pyramid, or one or more."""
    for name, value in arguments.items():
        levels = value if isinstance(value, tuple | list) else [value]
        if not levels or any(level not in LEVELS for level in levels):
            raise ValueError(f"{name} must be of {', '.join(LEVELS)}, not {value!r}")


def check_atrous_rates(atrous_rates: Sequence[int]) -> tuple[int, ...]:
    """The rates as a tuple of integers; ValueError for none at all, for rates below 1 and above `LARGEST_RATE`."""
    rates = tuple(atrous_rates) if isinstance(atrous_rates, Sequence) else ()
    if not rates or not all(in_interval(rate, "[1, inf)") and rate == int(rate) for rate in rates):
        raise ValueError(f"atrous_rates must be one or more integers of at least 1, not {atrous_rates!r}")
    if max(rates) > LARGEST_RATE:
        raise ValueError(f"atrous_rates must be integers of at most {LARGEST_RATE}, not {atrous_rates!r}")
    return tuple(int(rate) for rate in rates)


def rates_at(output_stride: int, atrous_rates: Sequence[int]) -> tuple[int, ...]:
    """Rates given for output stride 16, in pixels of the map at `output_stride`: doubled at 8, halved at 32.

    Raises:
        ValueError: an output stride other than 8, 16, 32, rates below 1, or such that do not halve to whole pixels.
    """
    if output_stride not in (8, 16, 32):
        raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride}")
    none = isinstance(atrous_rates, tuple | list) and not atrous_rates  # JSON and HDF5 make a list of a tuple
    atrous_rates = () if none else check_atrous_rates(atrous_rates)
    scaled = tuple(max(1, rate * 16 / output_stride) for rate in atrous_rates)
    if any(rate != int(rate) for rate in scaled):
        raise ValueError(f"atrous_rates {tuple(atrous_rates)} are not integers at output stride {output_stride}")
    return tuple(int(rate) for rate in scaled)
