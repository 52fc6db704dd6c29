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
from typing import Any

from deeplab_ksac.datasets.class_list import CLASSES_FILE
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.mask_classes import count_values, mask_reader, read_classes
from deeplab_ksac.datasets.raw import (
    IMAGE_SUFFIXES,
    Examples,
    paired_examples,
    paired_splits,
    read_mask,
    require_folders,
    unpaired_files,
)
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading

INFO = DatasetInfo(name="folder", class_names=(), colors=(), description="A folder of images and masks")
READS = ("label_map", "colors", "image_prefix", "image_suffix", "mask_prefix", "mask_suffix")

LAYOUT = "images/<split>/…, masks/<split>/… and classes.txt"


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` that `root/classes.txt` describes, or the legend; classes without a color get VOC's."""
    require_folders(root, ("images", "masks"), LAYOUT)
    names, colors = read_classes(pathlib.Path(root) / CLASSES_FILE, reading)
    return DatasetInfo(name=INFO.name, class_names=names, colors=colors, description=INFO.description)


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The folders of `root/images`; the split called train comes first.

    Raises:
        DatasetError: there are none, and no pictures either.
    """
    require_folders(root, ("images", "masks"), LAYOUT)
    found = paired_splits(root)
    if not found:
        images = pathlib.Path(root) / "images"
        raise DatasetError(f"{images} holds no picture ({', '.join(IMAGE_SUFFIXES)}) and no folder of a split")
    return found


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """Every image of `root/images/<split>` with its mask."""
    reader = mask_reader(pathlib.Path(root) / CLASSES_FILE, reading)
    return paired_examples(root, split, read_labels=reader, reading=reading)


def pairs(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The images of `root/images/<split>` that have a mask; the others are `missing`.

    Labels are the masks' values where it is not known what these mean.
    """
    try:
        reader = mask_reader(pathlib.Path(root) / CLASSES_FILE, reading)
    except DatasetError:
        reader = read_mask
    return paired_examples(root, split, read_labels=reader, reading=reading, complete=False)


def values_of(mask: Any) -> dict[int | tuple[int, ...], int]:
    """{value in a mask, or color of an RGB one: its pixels}."""
    return count_values(mask)


def left_out(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """Sentences on the files in `root/images` and `root/masks` that lie in no split."""
    return unpaired_files(root, paired_splits(root))
