"""Numbers that are given as arguments, checked where they come in: no NaN, no bool, no text, none out of range."""

import numbers
from collections.abc import Sequence


def in_interval(value: object, interval: str) -> bool:
    """Whether a value is a number in an interval, written as in mathematics: "(0, 1]", "[0, inf)"."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    low, high = map(float, interval[1:-1].split(","))
    above = low <= value if interval[0] == "[" else low < value
    return above and (value <= high if interval[-1] == "]" else value < high)


def check_numbers(interval: str, **values: float) -> None:
    """Makes sure that named values are numbers in an interval: `check_numbers("[0, 1)", momentum=momentum)`.

    Raises:
        ValueError: one is not; the message has its name and what is allowed.
    """
    for name, value in values.items():
        if not in_interval(value, interval):
            raise ValueError(f"{name} must be a number in {interval}, not {value!r}")


def check_whole_numbers(least: int, **values: int | Sequence[int]) -> None:
    """Makes sure that named values are whole numbers, or lists of one or more such, and none is below `least`.

    Raises:
        ValueError: one is not; the message has its name and what is allowed.
    """
    for name, value in values.items():
        several = isinstance(value, tuple | list)
        found = value if several else [value]
        if not found or not all(isinstance(n, numbers.Integral) and in_interval(n, f"[{least}, inf)") for n in found):
            wanted = "one or more numbers" if several else "an integer"
            raise ValueError(f"{name} must be {wanted} of at least {least}, not {value!r}")
