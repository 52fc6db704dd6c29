"""Lists of classes that a user writes: classes.txt, one class a line, `name` or `name red green blue`."""

import os

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import numbered_lines

CLASSES_FILE = "classes.txt"
Color = tuple[int, int, int]


def read_class_list(path: str | os.PathLike) -> tuple[tuple[str, ...], tuple[Color, ...]]:
    """(names, colors) of the classes of a list, in order; those without a color get VOC's.

    Raises:
        DatasetError: the file cannot be read, lists no class or more than 255, or one twice.
    """
    lines = numbered_lines(path)
    if not 1 <= len(lines) <= 255:
        raise DatasetError(f"{path} lists {len(lines)} classes; expected 1 to 255, one a line")
    names, colors = zip(
        *(
            _class(path, number, line, color)
            for (number, line), color in zip(lines, voc_palette(len(lines)), strict=True)
        ),
        strict=True,
    )
    first = {}
    for (number, _), name in zip(lines, names, strict=True):
        if name in first:
            raise DatasetError(f"{path} lists classes more than once: {name} in lines {first[name]} and {number}")
        first[name] = number
    return names, colors


def _class(path, number, line, color):
    words = line.split()
    if len(words) >= 4 and all(word.isdecimal() for word in words[-3:]):
        color = tuple(int(word) for word in words[-3:])
        if max(color) > 255:
            raise DatasetError(f"{path}: the color in line {number}, {line!r}, has a value above 255")
        words = words[:-3]
    return " ".join(words), color
