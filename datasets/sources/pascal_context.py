"""PASCAL Context: VOC 2010's photographs with everything in them labeled; the 59 classes that are scored.

Three forms of the labels are read, looked for in this order beside or below VOCdevkit/VOC2010:
* `trainval/*.mat`: all 459 classes (the official download);
* `59_context_labels/*.png`: 1…59 in FCN's order, VOC's twenty classes first (official too);
* `SegmentationClassContext/*.png`: 1…59 in alphabetical order, as MMSegmentation writes them.
All give the same labels: 0…58 in alphabetical order, and 255 for the other 400 classes. `pascal_context_60` scores
these as a class of their own, background, which moves the mean by several points.
"""

import dataclasses
import itertools
import os
import pathlib

import numpy as np

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.matlab import read_matlab
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import Examples, complete_examples, find_folder, read_lines, read_mask
from deeplab_ksac.datasets.tables import read_table

_CLASSES = read_table("pascal_context")

INFO = DatasetInfo(
    name="pascal_context",
    class_names=tuple(row["name"] for row in _CLASSES),
    colors=voc_palette(60)[1:],
    splits={"train": 4998, "val": 5105},
    description="VOC 2010's photographs with 59 kinds of things and stuff; what is none of them is ignored",
    source="https://cs.stanford.edu/~roozbeh/pascal-context (trainval.tar.gz), VOC 2010 (VOCtrainval_03-May-2010.tar)",
)

FCN_CLASS_NAMES = tuple(row["fcn_name"] for row in sorted(_CLASSES, key=lambda row: int(row["fcn"])))
DEVKIT = "VOCdevkit/VOC2010 with JPEGImages and ImageSets/Main"


@dataclasses.dataclass(frozen=True)
class Form:
    """One way in which the labels are passed on.

    Attributes:
        folder: where they lie.
        suffix: of the files.
        numbers: the value of each class, in alphabetical order of the classes.
        others: the values of what is none of the classes.
    """

    folder: str
    suffix: str
    numbers: tuple[int, ...]
    others: tuple[int, ...]


NUMBERS_OF_459 = tuple(int(row["value"]) for row in _CLASSES)
FORMS = (
    Form("trainval", ".mat", NUMBERS_OF_459, tuple(sorted({*range(460)} - {*NUMBERS_OF_459}))),
    Form("59_context_labels", ".png", tuple(int(row["fcn"]) for row in _CLASSES), (0,)),
    Form("SegmentationClassContext", ".png", tuple(range(1, 60)), (0,)),
)


class Reader:
    """Labels of a form: path -> uint8 [H, W], the classes from `first` on and `other` for the rest."""

    def __init__(self, form: Form, *, first: int, other: int):
        numbered = {number: first + label for label, number in enumerate(form.numbers)}
        self.table = LabelTable({**dict.fromkeys(form.others, other), **numbered}, f"the labels in {form.folder}")

    def __call__(self, path: pathlib.Path) -> np.ndarray:
        return self.table(read_matlab(path, "LabelMap") if path.suffix == ".mat" else read_mask(path), path)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The splits that VOC 2010 lists."""
    lists = _find_voc(root) / "ImageSets" / "Main"
    return tuple(split for split in INFO.splits if (lists / f"{split}.txt").is_file())


def examples(root: str | os.PathLike, split: str) -> Examples:
    """VOC 2010's images of a split with 59 classes."""
    return read_examples(root, split, first=0, other=IGNORE_LABEL)


def read_examples(root: str | os.PathLike, split: str, *, first: int, other: int) -> Examples:
    """VOC 2010's images of a split, the first class labeled `first`, the rest of the 459 labeled `other`."""
    voc = _find_voc(root)
    form, folder = _find_labels(root, voc)
    ids = [line.split()[0] for line in read_lines(voc / "ImageSets" / "Main" / f"{split}.txt")]
    entries = [(name, voc / "JPEGImages" / f"{name}.jpg", folder / f"{name}{form.suffix}") for name in ids]
    return complete_examples(
        entries, f"PASCAL Context's split {split}", read_labels=Reader(form, first=first, other=other)
    )


def _find_voc(root):
    candidates = [f"{start}ImageSets/Main" for start in ("", "VOC2010/", "VOCdevkit/VOC2010/")]
    return find_folder(root, candidates, DEVKIT).parents[1]


def _find_labels(root, voc):
    """The first form that lies in the folder given, in VOC2010 or up to two folders above it, and where."""
    places = (voc, *itertools.islice(voc.absolute().parents, 2))
    for form in FORMS:
        for place in places:
            folder = place / form.folder
            if folder.is_dir() and next(folder.glob(f"*{form.suffix}"), None) is not None:
                return form, folder
    wanted = ", ".join(f"{form.folder}/*{form.suffix}" for form in FORMS)
    raise DatasetError(
        f"{root} has VOC 2010 but no labels of PASCAL Context: expected one of {wanted} in or next to it"
    )
