"""A user's own pictures and masks; no code needed.

root/classes.txt                 one class a line, in the order of the labels: `name` or `name red green blue`
root/images/train/…, images/val/…  JPEG, PNG, TIFF, BMP or WebP, in folders as deep as one likes; any names of splits
root/masks/train/…, masks/val/…    PNG of the same stem, one channel (palette or grayscale):
                                   0 is the first class of classes.txt, 255 is ignored

Without folders of splits, pictures in images/ and masks in masks/ are the split train. `datasets.reading.Reading` says
what differs: stems with a prefix or suffix, masks of other values (`label_map`), or masks of colors (`colors`), by the
colors of classes.txt or of a legend. A legend also names the classes where there is no classes.txt; a line called
`ignored` in either stands for 255.
"""

import os
import pathlib

import numpy as np

from deeplab_ksac.datasets.class_list import CLASSES_FILE, read_class_list
from deeplab_ksac.datasets.color_table import ColorTable, read_colors
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.legends import NOT_A_CLASS, colors_by_class, read_legend
from deeplab_ksac.datasets.raw import (
    Examples,
    paired_examples,
    paired_splits,
    read_mask,
    require_folders,
    unpaired_files,
)
from deeplab_ksac.datasets.reading import AS_IT_IS, OF_CLASSES, Reading

INFO = DatasetInfo(name="folder", class_names=(), colors=(), description="A folder of images and masks")
READS = ("label_map", "colors", "image_prefix", "image_suffix", "mask_prefix", "mask_suffix")

LAYOUT = "images/<split>/…, masks/<split>/… and classes.txt"


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` that `root/classes.txt` describes, or the legend; classes without a color get VOC's."""
    require_folders(root, ("images", "masks"), LAYOUT)
    path = pathlib.Path(root) / CLASSES_FILE
    if reading.colors not in (None, OF_CLASSES) and not path.is_file():
        names, colors = _of_legend(reading.colors)
    else:
        names, colors = _of_class_list(path, reading)
    reading.require_labels(len(names), path)
    return DatasetInfo(name=INFO.name, class_names=names, colors=colors, description=INFO.description)


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The folders of `root/images`; the split called train comes first."""
    require_folders(root, ("images", "masks"), LAYOUT)
    return paired_splits(root)


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """Every image of `root/images/<split>` with its mask."""
    return paired_examples(root, split, read_labels=_reader(root, reading), reading=reading)


def pairs(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The images of `root/images/<split>` that have a mask; the others are `missing`.

    Labels are the masks' values where it is not known what these mean.
    """
    try:
        reader = _reader(root, reading)
    except DatasetError:
        reader = read_mask
    return paired_examples(root, split, read_labels=reader, reading=reading, complete=False)


def values_of(mask: str | os.PathLike) -> dict[int | tuple[int, ...], int]:
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


def left_out(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """Sentences on the files in `root/images` and `root/masks` that lie in no split."""
    return unpaired_files(root, paired_splits(root))


def _reader(root, reading):
    """mask path -> labels, or values that conversion checks."""
    if reading.label_map is not None:
        pairs = ",".join(f"{value}:{label}" for value, label in reading.label_map.items())
        return LabelTable(reading.label_map, f"the pairs of --label_map={pairs}").read
    if reading.colors is None:
        return read_mask
    path = pathlib.Path(root) / CLASSES_FILE
    legend = read_legend(path if reading.colors == OF_CLASSES else reading.colors)
    by_color = colors_by_class(legend, path if reading.colors == OF_CLASSES else reading.colors)
    labels = {name: label for label, name in enumerate(read_info(root, reading).class_names)}
    without = sorted(set(labels) - set(by_color.values()))
    if without:
        raise DatasetError(
            f"{reading.colors} has no color for {len(without)} of the {len(labels)} classes of {path}: {without[0]}"
        )
    known = {color: labels[name] for color, name in by_color.items() if name in labels}
    ignored = {color: IGNORE_LABEL for color, name in by_color.items() if name == NOT_A_CLASS}
    return ColorTable({**known, **ignored}, by_color).read


def _of_legend(path):
    """(names, colors) of the classes of a legend: of several colors of a class the first is shown."""
    colors = {}
    for name, color in read_legend(path):
        if name != NOT_A_CLASS:
            colors.setdefault(name, color)
    if not 1 <= len(colors) <= 254:
        raise DatasetError(f"the legend {path} lists {len(colors)} classes; expected 1 to 254")
    return tuple(colors), tuple(colors.values())


def _of_class_list(path, reading):
    """(names, colors) of the classes of classes.txt."""
    if reading.colors == OF_CLASSES:
        return _of_legend(path)
    return read_class_list(path)
