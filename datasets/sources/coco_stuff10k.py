"""COCO-Stuff 10K, version 1.1: 9,000 and 1,000 photographs of COCO, 171 classes (Sect. 3.4.3, 4.4.3).

The labels are MATLAB files; `S` holds the ids 1…182 and 0 for what is unlabeled, ignored here. (The 172 classes of
Sect. 3.4.3 count that.) Version 1.0 numbers its classes differently; its files, of MATLAB's version 7.3, are an error.
"""

import os
import pathlib

import numpy as np

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.matlab import read_matlab
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import Examples, complete_examples, find_folder, read_lines, require_folders
from deeplab_ksac.datasets.tables import read_table

_CLASSES = read_table("coco_stuff")

INFO = DatasetInfo(
    name="coco_stuff10k",
    class_names=tuple(row["name"] for row in _CLASSES),
    colors=voc_palette(172)[1:],  # black is what is unlabeled
    splits={"train": 9000, "test": 1000},
    description="Photographs of COCO with 80 kinds of things and 91 of stuff",
    source="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/cocostuff-10k-v1.1.zip",
)

IDS = tuple(int(row["id"]) for row in _CLASSES)  # of COCO-Stuff's 182, labeled 0…170 in their order
LAYOUT = "COCO-Stuff 10K: images/*.jpg, annotations/*.mat and imageLists/{train,test}.txt"
TABLE = LabelTable(
    {0: IGNORE_LABEL, **{number: label for label, number in enumerate(IDS)}},
    "the label maps of COCO-Stuff 10K (171 of the ids 1…182)",
)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The official splits whose list is there."""
    lists = find_folder(root, ("imageLists",), LAYOUT)
    return tuple(split for split in INFO.splits if (lists / f"{split}.txt").is_file())


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The images that `imageLists/<split>.txt` names."""
    root = find_folder(root, ("imageLists",), LAYOUT).parent
    require_folders(root, ("images", "annotations"), LAYOUT)
    entries = [
        (name, root / "images" / f"{name}.jpg", root / "annotations" / f"{name}.mat")
        for name in read_lines(root / "imageLists" / f"{split}.txt")
    ]
    return complete_examples(entries, f"COCO-Stuff 10K's split {split}", read_labels=read_labels)


def read_labels(path: pathlib.Path) -> np.ndarray:
    """The labels of an `annotations/*.mat`: uint8 [H, W]."""
    return TABLE(read_matlab(path, "S"), path)
