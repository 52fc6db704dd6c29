"""Numbers that are given as arguments, checked where they come in: no NaN, no bool, no text, none out of range."""

import numbers
import sys
from collections.abc import Sequence

LARGEST = 2**31 - 1  # what TensorFlow counts in 32 bits: steps, examples, channels
LARGEST_FLOAT = sys.float_info.max  # a whole number of Python may be above it
LONGEST_SIDE = 65_535  # of a picture, in pixels: no JPEG has a longer one
MOST_CHANNELS = 65_536  # of a map: a 1×1 kernel between two such takes 16 GiB
MOST_REPEATS = 256  # of a layer or a block in a row: no published network has more of one width
LONGEST_KERNEL = 255  # side in pixels of a kernel, and of the regions that a map is cut into
LARGEST_RATE = 1_023  # in pixels of a map: at output stride 8, of a picture of 8,184
WIDEST = "(0, 10]"  # factors of a network's width or depth
SCALES = "[0.01, 100]"  # of a picture: below, its sides are a few pixels; above, no memory holds it


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


def check_whole_numbers(least: int, most: int = LARGEST, /, **values: int) -> None:
    """Makes sure that named values are whole numbers, and none is below `least` or above `most`.

    Raises:
        ValueError: one is not; the message has its name and what is allowed.
    """
    for name, value in values.items():
        if not _is_whole(value, least):
            raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
        if value > most:
            raise ValueError(f"{name} must be an integer of at most {most}, not {value!r}")


def check_channels(**values: int) -> None:
    """Makes sure that named values are numbers of channels, from 1 to `MOST_CHANNELS`; as `check_whole_numbers`."""
    check_whole_numbers(1, MOST_CHANNELS, **values)


def check_repeats(**values: int) -> None:
    """Makes sure that named values count layers or blocks, from 1 to `MOST_REPEATS`; as `check_whole_numbers`."""
    check_whole_numbers(1, MOST_REPEATS, **values)


def check_kernels(**values: int) -> None:
    """Makes sure that named values are sides of kernels, from 1 to `LONGEST_KERNEL`; as `check_whole_numbers`."""
    check_whole_numbers(1, LONGEST_KERNEL, **values)


def check_lists_of_whole_numbers(least: int, most: int = LARGEST, /, **values: Sequence[int]) -> None:
    """Makes sure that each of the named tuples or lists holds one or more whole numbers, from `least` to `most`.

    Raises:
        ValueError: one does not; the message has its name and what is allowed.
    """
    for name, value in values.items():
        if not isinstance(value, tuple | list) or not value or not all(_is_whole(n, least) for n in value):
            raise ValueError(f"{name} must be one or more numbers of at least {least}, not {value!r}")
        if max(value) > most:
            raise ValueError(f"{name} must be numbers of at most {most}, not {value!r}")


def check_distinct(**values: Sequence[int | str]) -> None:
    """Makes sure that each of the named values holds one or more things, and none twice.

    Raises:
        ValueError: one does not; the message has its name and what it holds.
    """
    for name, value in values.items():
        if not value or len(set(value)) < len(value):
            raise ValueError(f"{name} must be one or more, each once, not {', '.join(map(str, value)) or 'none'}")


def _is_whole(value, least):
    return isinstance(value, numbers.Integral) and in_interval(value, f"[{least}, inf)")
