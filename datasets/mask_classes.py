"""What the values or colors in a user's masks mean: classes.txt, a legend, and `Reading`."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from deeplab_ksac.datasets.class_list import read_class_list
from deeplab_ksac.datasets.color_table import ColorTable, read_colors
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.legends import NOT_A_CLASS, Color, colors_by_class, read_legend
from deeplab_ksac.datasets.raw import read_mask
from deeplab_ksac.datasets.reading import OF_CLASSES, Reading


def read_classes(path: str | os.PathLike, reading: Reading) -> tuple[tuple[str, ...], tuple[Color, ...]]:
    """(names, colors) of the classes in the order of their labels.

    Args:
        path: classes.txt; where `reading.colors` is a legend, it may be missing, and the legend lists the classes.
        reading: what the masks hold.

    Raises:
        DatasetError: a list or a legend that cannot be read, or a `label_map` to labels that there are not.
    """
    if reading.colors == OF_CLASSES:
        found = _of_legend(path)
    elif reading.colors is not None and not pathlib.Path(path).is_file():
        found = _of_legend(reading.colors)
    else:
        found = read_class_list(path)
    reading.require_labels(len(found[0]), path)
    return found


def mask_reader(path: str | os.PathLike, reading: Reading) -> Callable[[Any], np.ndarray]:
    """The function mask -> labels [H, W], or values that conversion still checks; the arguments of `read_classes`.

    Raises:
        DatasetError: as `read_classes`, or a class without a color.
    """
    if reading.label_map is not None:
        pairs = ",".join(f"{value}:{label}" for value, label in reading.label_map.items())
        return LabelTable(reading.label_map, f"the pairs of --label_map={pairs}").read
    if reading.colors is None:
        return read_mask
    legend = path if reading.colors == OF_CLASSES else reading.colors
    by_color = colors_by_class(read_legend(legend), legend)
    labels = {name: label for label, name in enumerate(read_classes(path, reading)[0])}
    without = sorted(set(labels) - set(by_color.values()))
    if without:
        raise DatasetError(
            f"{legend} has no color for {len(without)} of the {len(labels)} classes of {path}: {without[0]}"
        )
    known = {color: labels[name] for color, name in by_color.items() if name in labels}
    ignored = {color: IGNORE_LABEL for color, name in by_color.items() if name == NOT_A_CLASS}
    return ColorTable({**known, **ignored}, by_color).read


def count_values(mask: Any) -> dict[int | tuple[int, ...], int]:
    """{value in a mask, or color of an RGB one: its pixels}.

    Raises:
        DatasetError: the mask cannot be read.
    """
    try:
        values = read_mask(mask)
    except DatasetError:
        colors, counts = np.unique(read_colors(mask).reshape(-1, 3), axis=0, return_counts=True)
        return dict(zip(map(tuple, colors.tolist()), counts.tolist(), strict=True))
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _of_legend(path):
    """(names, colors) of the classes of a legend: of several colors of a class the first is shown."""
    colors = {}
    for name, color in read_legend(path):
        if name != NOT_A_CLASS:
            colors.setdefault(name, color)
    if not 1 <= len(colors) <= 254:
        raise DatasetError(f"the legend {path} lists {len(colors)} classes; expected 1 to 254")
    return tuple(colors), tuple(colors.values())
