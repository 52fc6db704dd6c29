"""The Semantic Boundaries Dataset as it is released: benchmark_RELEASE/dataset with img, cls, train.txt and val.txt."""

import itertools
import os
import pathlib

import numpy as np

from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.matlab import read_matlab
from deeplab_ksac.datasets.raw import read_lines

LAYOUT = "SBD's benchmark_RELEASE/dataset (img, cls, train.txt, val.txt) in it or next to it"
TABLE = LabelTable({label: label for label in range(21)}, "the class maps of SBD (0…20)")  # VOC's order, no void


def find(*places: str | os.PathLike) -> pathlib.Path | None:
    """SBD's folder `dataset` in one of `places` or up to two folders above it; None where there is none."""
    for place in (pathlib.Path(place).absolute() for place in places):
        for base in (place, *itertools.islice(place.parents, 2)):
            for candidate in (base, base / "dataset", base / "benchmark_RELEASE" / "dataset"):
                if (candidate / "cls").is_dir() and (candidate / "train.txt").is_file():
                    return candidate
    return None


def read_ids(release: pathlib.Path) -> list[str]:
    """The ids of SBD's own train and val together, sorted."""
    return sorted({name for split in ("train", "val") for name in read_lines(release / f"{split}.txt")})


def class_map(release: pathlib.Path, name: str) -> pathlib.Path:
    """The path of the class map of an image."""
    return release / "cls" / f"{name}.mat"


def read_class_map(path: pathlib.Path) -> np.ndarray:
    """The labels that a `cls/*.mat` holds, 0…20: uint8 [H, W]."""
    return TABLE(read_matlab(path, "GTcls", "Segmentation"), path)
