"""ADE20K as in the scene parsing challenge (SceneParse150): 150 classes, unlabeled pixels ignored (Sect. 2.3.1.4).

The masks hold 1…150 and 0 for what is unlabeled; here the labels are one less and 255.
"""

import os

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.raw import Examples, complete_examples, find_folder, find_stems, require_folders
from deeplab_ksac.datasets.tables import read_colors, read_table

_CLASSES = read_table("ade20k")

INFO = DatasetInfo(
    name="ade20k",
    class_names=tuple(row["name"] for row in _CLASSES),
    colors=read_colors(_CLASSES),
    splits={"train": 20210, "val": 2000},
    description="Photographs of scenes with 150 kinds of things and stuff",
    source="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
)

FOLDERS = {"train": "training", "val": "validation"}
LAYOUT = "ADEChallengeData2016 with images/ and annotations/ (the full ADE20K is another data set)"
TABLE = LabelTable(
    {0: IGNORE_LABEL, **{int(row["value"]): label for label, row in enumerate(_CLASSES)}},
    "the masks of the scene parsing challenge (0…150)",
)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The splits whose folder of annotations is there."""
    root = _find_root(root)
    return tuple(split for split, folder in FOLDERS.items() if (root / "annotations" / folder).is_dir())


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The images that are there; which of ADE_train_00000001 to …20210 (val: …02000) are not, is known."""
    root = _find_root(root)
    if split not in FOLDERS:
        raise DatasetError(f"ADE20K has no split {split!r} (known: {', '.join(FOLDERS)})")
    images, masks = root / "images" / FOLDERS[split], root / "annotations" / FOLDERS[split]
    require_folders(root, (f"images/{FOLDERS[split]}", f"annotations/{FOLDERS[split]}"), LAYOUT)
    entries = [(name, images / f"{name}.jpg", masks / f"{name}.png") for name in find_stems(images, ".jpg")]
    official = [f"ADE_{split}_{number:08d}" for number in range(1, INFO.splits[split] + 1)]
    return complete_examples(entries, f"ADE20K's split {split}", official=official, read_labels=TABLE.read)


def _find_root(root):
    masks = [f"{start}annotations/{folder}" for start in ("ADEChallengeData2016/", "") for folder in FOLDERS.values()]
    return find_folder(root, masks, LAYOUT).parents[1]
