"""A user's own pictures and masks; no code needed.

root/classes.txt                 one class a line, in the order of the labels: `name` or `name red green blue`
root/images/train/…, images/val/…  JPEG, PNG, TIFF, BMP or WebP, in folders as deep as one likes; any names of splits
root/masks/train/…, masks/val/…    PNG of the same stem, one channel (palette or grayscale):
                                   0 is the first class of classes.txt, 255 is ignored
"""

import os
import pathlib

from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import (
    Examples,
    numbered_lines,
    paired_examples,
    paired_splits,
    require_folders,
    unpaired_files,
)

INFO = DatasetInfo(name="folder", class_names=(), colors=(), description="A folder of images and masks")

CLASSES_FILE = "classes.txt"
LAYOUT = "images/<split>/…, masks/<split>/… and classes.txt"


def read_info(root: str | os.PathLike) -> DatasetInfo:
    """The `DatasetInfo` that `root/classes.txt` describes; classes without a color get VOC's."""
    require_folders(root, ("images", "masks"), LAYOUT)
    path = pathlib.Path(root) / CLASSES_FILE
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
    return DatasetInfo(name=INFO.name, class_names=names, colors=colors, description=INFO.description)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The folders of `root/images`; the split called train comes first."""
    require_folders(root, ("images", "masks"), LAYOUT)
    return paired_splits(root)


def examples(root: str | os.PathLike, split: str) -> Examples:
    """Every image of `root/images/<split>` with its mask."""
    return paired_examples(root, split)


def left_out(root: str | os.PathLike) -> tuple[str, ...]:
    """Sentences on the files in `root/images` and `root/masks` that lie in no split."""
    return unpaired_files(root, paired_splits(root))


def _class(path, number, line, color):
    words = line.split()
    if len(words) >= 4 and all(word.isdecimal() for word in words[-3:]):
        color = tuple(int(word) for word in words[-3:])
        if max(color) > 255:
            raise DatasetError(f"{path}: the color in line {number}, {line!r}, has a value above 255")
        words = words[:-3]
    return " ".join(words), color
