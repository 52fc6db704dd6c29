"""Legends: files that say which color in RGB masks stands for which class.

A line is a class, in one of the forms that tools write:

    road 128 64 128             ours, as in classes.txt
    128 64 128 road             CamVid's label_colors.txt
    road:128,64,128::           CVAT's labelmap.txt (label:color:parts:actions)
    road,128,64,128             CSV; a first line without numbers, as in name,r,g,b, is a heading

Empty lines and those that begin with # are passed over. The name `ignored` is no class: pixels of its color are 255.
"""

import os
import re

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw import numbered_lines

Color = tuple[int, int, int]
NOT_A_CLASS = "ignored"
_NUMBER, _GAP = r"(\d{1,9})", r"(?:\s*,\s*|\s+)"
_THREE = _GAP.join([_NUMBER] * 3)
FORMS = (
    re.compile(rf"(?P<name>[^:]*[^:\s])\s*:\s*{_THREE}\s*(?::.*)?"),
    re.compile(rf"(?P<name>.*?[^\s,]){_GAP}{_THREE}"),
    re.compile(rf"{_THREE}{_GAP}(?P<name>\S.*)"),
)


def read_legend(path: str | os.PathLike) -> list[tuple[str, Color]]:
    """(class, its color) of each line of a legend, in order; a class may have several colors.

    Raises:
        DatasetError: the file cannot be read, or a line is of none of the forms.
    """
    found, lines = [], [(number, line) for number, line in numbered_lines(path) if not line.startswith("#")]
    for position, (number, line) in enumerate(lines):
        match = next(filter(None, (form.fullmatch(line) for form in FORMS)), None)
        if match is None and position == 0 and re.fullmatch(r"[^,\d]+(,[^,\d]+){3,}", line):
            continue  # the heading of a CSV file
        if match is None:
            raise DatasetError(
                f"the legend {path}: line {number}, {line!r}, is no class with a color; expected "
                "'name red green blue', 'red green blue name', 'name:red,green,blue' or 'name,red,green,blue'"
            )
        color = tuple(int(match[i]) for i in range(1, 5) if i != match.re.groupindex["name"])
        if max(color) > 255:
            raise DatasetError(f"the legend {path}: the color in line {number}, {line!r}, has a value above 255")
        found.append((match["name"].strip(), color))
    if not found:
        raise DatasetError(f"the legend {path} lists no class")
    return found


def colors_by_class(legend: list[tuple[str, Color]], path: str | os.PathLike) -> dict[Color, str]:
    """{color: class} of a legend.

    Raises:
        DatasetError: a color stands for two classes.
    """
    classes = {}
    for name, color in legend:
        if classes.setdefault(color, name) != name:
            raise DatasetError(f"{path}: the color {color} is that of {classes[color]!r} and of {name!r}")
    return classes
