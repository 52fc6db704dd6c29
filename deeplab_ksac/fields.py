"""What the fields of an experiment may hold; the message of every check begins with the field's name."""

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from deeplab_ksac.arguments import LONGEST_SIDE, SCALES, in_interval
from deeplab_ksac.datasets.splits import Split


def set_fields(value: Any, **fields: Any) -> None:
    """Gives a frozen dataclass checked fields in the form in which it keeps them, inside of its `__post_init__`."""
    for name, field in fields.items():
        object.__setattr__(value, name, field)


def set_whole_numbers(value: Any, least: int, most: int, *names: str) -> None:
    """Makes sure that fields of a dataclass are whole numbers from `least` to `most`, and keeps Python's own.

    Raises:
        ValueError: one is not.
    """
    for name in names:
        number = getattr(value, name)
        if not isinstance(number, numbers.Integral) or not in_interval(number, f"[{least}, inf)"):
            raise ValueError(f"{name} must be at least {least}, not {number!r}")
        if number > most:
            raise ValueError(f"{name} must be at most {most}, not {number!r}")
        set_fields(value, **{name: int(number)})


def check_kind(kind: type, **fields: Any) -> None:
    """Makes sure that fields are of a type.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be of type {kind.__name__}, not {value!r}")


def check_text(**fields: str) -> None:
    """Makes sure that fields are texts of one or more printable characters.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if not isinstance(value, str) or not value or not value.isprintable():
            raise ValueError(f"{name} must be a text of one or more printable characters, not {value!r}")


def check_flag(**fields: bool) -> None:
    """Makes sure that fields are True or False.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, not {value!r}")


def check_arguments(**fields: Mapping[str, Any]) -> None:
    """Makes sure that fields are arguments by name.

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
            raise ValueError(f"{name} must be arguments by name, not {value!r}")


def check_split(**fields: str) -> None:
    """Makes sure that fields are splits, "data set/split".

    Raises:
        ValueError: one is not.
    """
    for name, value in fields.items():
        try:
            Split.parse(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def check_scales(scales: Sequence[float]) -> None:
    """Makes sure that the field "scales" holds one or more factors of a picture's sides.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(scales, tuple | list) or not scales or not all(in_interval(scale, SCALES) for scale in scales):
        raise ValueError(
            f"scales must be one or more positive numbers, such as (0.5, 1.0), in {SCALES}, not {scales!r}"
        )


def sides_of(name: str, value: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) in pixels of a pair, or of a number for both; None of None.

    Raises:
        ValueError: a value that is neither.
    """
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(sides) != 2 or not all(isinstance(n, numbers.Integral) and in_interval(n, "[1, inf)") for n in sides):
        raise ValueError(f"{name} must be a positive integer, a pair of them or None, not {value!r}")
    if max(sides) > LONGEST_SIDE:
        raise ValueError(f"{name} must be at most {LONGEST_SIDE} pixels long and wide, not {value!r}")
    return int(sides[0]), int(sides[1])


def check_storable(value: Any, path: str) -> None:
    """Makes sure that JSON holds a value of `experiment.to_dict`, and gives it back as it is.

    Raises:
        ValueError: it does not; the message has the path of what is in the way.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{path} must have texts for keys, not {key!r}")
            check_storable(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_storable(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path} must be a finite number, not {value!r}")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{path} must be a number, text, True, False, None, or a tuple or dict of them, not {value!r}")


def plain(value: Any) -> Any:
    """A part's argument as it is after JSON: lists are tuples, dataclasses dicts, and NumPy's numbers Python's own."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if isinstance(value, numbers.Number) and hasattr(value, "item"):
        return value.item()
    return value
