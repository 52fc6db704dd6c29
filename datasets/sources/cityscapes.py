"""Cityscapes, the fine annotations: frames of 2048×1024, 19 classes, the rest ignored (Sect. 2.3.1.5).

Labels come from gtFine's labelIds files; where one is missing, from the polygons that it was drawn from. The frames of
`test` carry no labels: what gtFine has for them is all void, and without it every pixel is ignored as well.
"""

import collections
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from deeplab_ksac.datasets import polygons
from deeplab_ksac.datasets.annotations import checked_size, read_json
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.raw import (
    Examples,
    complete_examples,
    find_folder,
    find_folders,
    find_stems,
    no_labels,
    require_folders,
)
from deeplab_ksac.datasets.tables import read_colors, read_table
from deeplab_ksac.errors import in_one_line

_VALUES = read_table("cityscapes")
_CLASSES = sorted((row for row in _VALUES if row["label"]), key=lambda row: int(row["label"]))

INFO = DatasetInfo(
    name="cityscapes",
    class_names=tuple(row["name"] for row in _CLASSES),
    colors=read_colors(_CLASSES),
    splits={"train": 2975, "val": 500, "test": 1525},
    description="Frames of drives through German and Swiss cities, 2048×1024, nineteen classes",
    source="https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip)",
)

LAYOUT = "leftImg8bit/<split>/<city>/… and gtFine/<split>/<city>/…"
IMAGE, LABEL_IDS, POLYGONS = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_polygons.json"
NUMBERS = {row["name"]: int(row["value"]) for row in _VALUES}
TABLE = LabelTable(
    {int(row["value"]): int(row["label"] or IGNORE_LABEL) for row in _VALUES if int(row["value"]) >= 0},
    "the labelIds of Cityscapes (0…33)",
)
LABELS = {name: int(TABLE.table[number]) if number >= 0 else number for name, number in NUMBERS.items()}


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The splits whose frames are there."""
    images = find_folder(root, ("leftImg8bit",), LAYOUT)
    return tuple(split for split in INFO.splits if (images / split).is_dir())


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The frames of all cities of a split; which city lacks some is known."""
    images = find_folder(root, ("leftImg8bit",), LAYOUT)
    if split not in INFO.splits:
        raise DatasetError(f"Cityscapes has no split {split!r} (known: {', '.join(INFO.splits)})")
    require_folders(images, (split,), LAYOUT)
    if split != "test":
        require_folders(images.parent, (f"gtFine/{split}",), LAYOUT)
    entries = [entry for city in find_folders(images / split) for entry in _frames(images.parent, split, city)]
    found = complete_examples(entries, f"Cityscapes' split {split}", read_labels=_read_labels)
    found.missing += tuple(_missing_frames(found, split))
    return found


def draw_polygons(path: pathlib.Path, numbers: Mapping[str, int]) -> np.ndarray:
    """The map [H, W] that a `…_polygons.json` describes, by its classes' numbers; later objects cover earlier ones.

    They are filled as the makers did, by `datasets.polygons.by_rows`. A group of objects counts as its class
    ("cargroup" as "car") unless the class list has it; what has no number of its own (license plates) stays what it
    stands on.

    Args:
        path: the file.
        numbers: {class name: its number, −1 for none}: `NUMBERS` for labelIds, `LABELS` for the labels 0…18 and 255.

    Raises:
        DatasetError: the file cannot be read, or names a class that is not in the list.
    """
    content, known = read_json(path, "polygons of Cityscapes"), []
    try:
        width, height = content["imgWidth"], content["imgHeight"]
        checked_size(height, width)
        for one in content["objects"]:
            name, corners = str(one["label"]), polygons.corners_of(one["polygon"])
            number = numbers.get(name, numbers.get(name.removesuffix("group")))
            if number is None:
                raise ValueError(f"it has an object {name!r}, which is no class of Cityscapes")
            if number >= 0:
                known.append((number, corners))
        runs = polygons.by_rows([corners for _, corners in known], height, width)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read as polygons of Cityscapes: {in_one_line(error)}") from error
    values = np.array([number for number, _ in known], np.uint8)
    return polygons.layered(*runs, values, numbers["unlabeled"], height * width).reshape(height, width)


def _frames(root, split, city):
    """(id, frame, labels) of a city; in place of labels that are nowhere stands, for `test`, the frame itself."""
    images, labels = (root / folder / split / city for folder in ("leftImg8bit", "gtFine"))
    drawn, polygons = set(find_stems(labels, LABEL_IDS)), set(find_stems(labels, POLYGONS))
    for name in find_stems(images, IMAGE):
        image, mask = images / f"{name}{IMAGE}", labels / f"{name}{LABEL_IDS}"
        if name not in drawn and name in polygons:
            mask = labels / f"{name}{POLYGONS}"
        elif name not in drawn and split == "test":
            mask = image
        yield name, image, mask


def _missing_frames(found, split):
    """In words, the cities of which frames are missing."""
    there = collections.Counter(name.split("_")[0] for name, *_ in found.entries)
    for row in read_table("cityscapes_cities"):
        if row["split"] == split and there[row["city"]] < int(row["frames"]):
            yield f"{int(row['frames']) - there[row['city']]} of {row['frames']} of {row['city']}"


def _read_labels(path):
    if path.name.endswith(IMAGE):
        return no_labels(path)
    if path.name.endswith(POLYGONS):
        return draw_polygons(path, LABELS)
    return TABLE.read(path)
