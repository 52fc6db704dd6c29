"""Flags whose values are numbers, sides of pictures, or lists of them.

Each function defines a flag; what `entry.start` makes of a wrong value is one line: "evaluate: --sheet must be a whole
number from 0 to 2147483647, not '1e3'".
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags

from deeplab_ksac.arguments import LARGEST, LONGEST_SIDE, SCALES, in_interval

NONE = "none"  # the value of a flag that takes away what the experiment has


def whole_number(name: str, default: int | None, meaning: str, *, least: int = 0, most: int = LARGEST) -> None:
    """A flag for a whole number from `least` to `most`."""

    def read(text):
        return _whole(text, least, most)

    _define(name, default, meaning, read, f"a whole number from {least} to {most}")


def whole_number_or_word(name: str, default: int | str, meaning: str, words: Sequence[str]) -> None:
    """A flag for a whole number, or for one of some words."""

    def read(text):
        return text if text in words else _whole(text, 0, LARGEST)

    _define(name, default, meaning, read, f"{', '.join(words)} or a whole number from 0 to {LARGEST}")


def word_or_switch(name: str, words: Sequence[str], meaning: str) -> None:
    """A flag for one of some words, None by default; given alone it is the first, and --no<name> is None again."""

    def read(text):
        found = {**{word: word for word in words}, "true": words[0], "false": None}
        return found[text] if text in found else _refuse()

    parser = _Parser(name, read, f"one of {', '.join(words)}")
    flags.DEFINE_flag(flags.Flag(parser, None, name, None, meaning, boolean=True))


def number(name: str, default: float | None, meaning: str, interval: str) -> None:
    """A flag for a number in an interval, written as in mathematics: "[0, inf)"."""

    def read(text):
        return _real(text, interval)

    _define(name, default, meaning, read, f"a number in {interval}")


def whole_numbers(
    name: str, default: str | None, meaning: str, *, least: int = 0, most: int = LARGEST, count: int | None = None
) -> None:
    """A flag for whole numbers, comma-separated: a tuple, of `count` or of one or more."""

    def read(text):
        found = tuple(_whole(part, least, most) for part in text.split(","))
        return _counted(found, (count,) if count else ())

    many = "whole numbers" if count is None else f"{count} whole numbers"
    _define(name, default, meaning, read, f"{many} from {least} to {most}, comma-separated")


def scales(name: str, default: str | None, meaning: str) -> None:
    """A flag for one or more factors of a picture's sides, comma-separated: a tuple of numbers."""

    def read(text):
        return tuple(_real(part, SCALES) for part in text.split(","))

    _define(name, default, meaning, read, f"numbers in {SCALES}, separated by commas, such as 0.5,1")


def sides(name: str, default: str | None, meaning: str) -> None:
    """A flag for the sides of a picture, "513" or "1025x2049": (height, width) in pixels; or `NONE`."""

    def read(text):
        return NONE if text == NONE else _sides(text.split("x"))

    _define(name, default, meaning, read, f"pixels up to {LONGEST_SIDE}, such as 513 or 1025x2049, or {NONE}")


def several_sides(name: str, default: str | None, meaning: str) -> None:
    """A flag for the sides of one or more pictures, "513,1025x2049": a tuple of (height, width) in pixels."""

    def read(text):
        return tuple(_sides(part.split("x")) for part in text.split(","))

    _define(name, default, meaning, read, f"pixels up to {LONGEST_SIDE}, such as 513 or 513,1025x2049")


def height_and_width(name: str, default: str | None, meaning: str, *, square: bool = False) -> None:
    """A flag for "513,1025": (height, width) in pixels; with `square`, also "513" for both."""

    def read(text):
        parts = text.split(",")
        return _sides(parts if square else _counted(parts, (2,)))

    words = "one or two numbers of pixels" if square else "height,width in pixels"
    example = "513 or 513,1025" if square else "161,193"
    _define(name, default, meaning, read, f"{words} up to {LONGEST_SIDE}, such as {example}")


def counts(name: str, default: str | None, meaning: str) -> None:
    """A flag for "train=1000,val=200": a dict of whole numbers above 0 by name."""

    def read(text):
        pairs = [part.partition("=") for part in text.split(",")]
        found = {key.strip(): _whole(count, 1, LARGEST) for key, _, count in pairs if key.strip()}
        return found if len(found) == len(pairs) else _refuse()

    _define(name, default, meaning, read, f"split=number, comma-separated, each from 1 to {LARGEST}")


def pairs(name: str, default: str | None, meaning: str) -> None:
    """A flag for "255:1,0:0": a dict of whole numbers, none of them named twice."""

    def read(text):
        found = [_counted(part.split(":"), (2,)) for part in text.split(",")]
        pairs = {_whole(key, 0, 65535): _whole(value, 0, 255) for key, value in found}
        return pairs if len(pairs) == len(found) else _refuse()

    _define(name, default, meaning, read, "value:label, comma-separated, no value twice, such as 255:1,0:0")


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Inside, an error whose message begins with the name of a flag's value has the flag's dashes in front.

    Raises:
        ValueError: as what is done inside.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"--{error}") from None


class _Parser(flags.ArgumentParser):
    """Reads a value by a function that raises ValueError for a wrong one, and says whose value is wrong."""

    def __init__(self, name, read, allowed):
        super().__init__()
        self.name, self.read, self.allowed = name, read, allowed

    def parse(self, argument):
        if not isinstance(argument, str):  # a default
            return argument
        try:
            return self.read(argument.strip())
        except ValueError:
            raise flags.Error(f"--{self.name} must be {self.allowed}, not {argument!r}") from None


def _define(name: str, default: Any, meaning: str, read: Callable[[str], Any], allowed: str) -> None:
    flags.DEFINE(_Parser(name, read, allowed), name, default, meaning)


def _refuse():
    raise ValueError


def _whole(text, least, most):
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
        _refuse()
    value = int(text)
    return value if least <= value <= most else _refuse()


def _real(text, interval):
    value = float(text) if text.isascii() and "_" not in text else _refuse()
    return value if in_interval(value, interval) else _refuse()


def _counted(found, counts):
    return found if not counts or len(found) in counts else _refuse()


def _sides(parts):
    found = [_whole(part, 1, LONGEST_SIDE) for part in _counted(parts, (1, 2))]
    return found[0], found[-1]
