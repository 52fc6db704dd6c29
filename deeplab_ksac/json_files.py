"""JSON files that a person or a disk may have damaged: what is wrong is one line with the file and the place."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.storage import place

LARGEST = 2.0**1000  # below it every whole number has a float


class DamagedFileError(ValueError):
    """A file does not hold what it should; the message names the file and what is wrong."""


def read_object(path: str | os.PathLike) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        OSError: it cannot be read.
        DamagedFileError: it is no text, no JSON, or another thing than an object.
    """
    try:
        return parse_object(place(path).read_bytes())
    except ValueError as error:
        raise DamagedFileError(f"{path} {in_one_line(error)}") from error


def parse_object(text: bytes | str) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        ValueError: it does not, for the reason that ends the sentence "the file …".
    """
    try:
        content = json.loads(text, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ValueError(f"is no UTF-8 text: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("is not valid JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"holds no JSON object, but {shortened(content)}")
    return content


def check_fields(
    subject: str | os.PathLike,
    content: Mapping[str, Any],
    required: Mapping[str, "Kind"],
    optional: Mapping[str, "Kind"],
) -> None:
    """Makes sure that an object has the required fields, and that these and the optional ones are what they should be.

    Args:
        subject: whose fields these are, with which the message begins: the file's path.
        content: the object.
        required, optional: {field: (what it should be in words, value -> whether it is that)}.

    Raises:
        DamagedFileError: a field is missing or is another thing.
    """
    for name in required:
        if name not in content:
            raise DamagedFileError(f"{subject} has no {name!r}")
    for name, (words, fits) in {**required, **optional}.items():
        if name in content and not fits(content[name]):
            raise DamagedFileError(f"{subject} has {shortened(content[name])} as {name!r}, which must be {words}")


Kind = tuple[str, Callable[[Any], bool]]


def shortened(value: Any, length: int = 80) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def is_whole(value: Any, least: int = 0) -> bool:
    """Whether a value is a whole number of at least `least` that 64 bits hold; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def is_list_of(value: Any, fits: Callable[[Any], bool]) -> bool:
    """Whether a value is a list whose elements all fit."""
    return isinstance(value, list) and all(map(fits, value))


def is_text(value: Any) -> bool:
    """Whether a value is text."""
    return isinstance(value, str)


def _no_number(word):
    raise ValueError(f"{word} is no JSON")
