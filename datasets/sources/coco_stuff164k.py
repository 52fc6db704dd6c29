"""COCO-Stuff 164K: the photographs of COCO 2017 train and val, 171 classes (Sect. 3.4.5).

The PNGs of `stuffthingmaps` hold the id less one, so that 0 is person, and 255 for what is unlabeled.
"""

import json
import os
import pathlib

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.raw import Examples, complete_examples, find_folder, find_stems
from deeplab_ksac.datasets.sources import coco_stuff10k

INFO = DatasetInfo(
    name="coco_stuff164k",
    class_names=coco_stuff10k.INFO.class_names,
    colors=coco_stuff10k.INFO.colors,
    splits={"train": 118287, "val": 5000},
    description="Photographs of COCO with 80 kinds of things and 91 of stuff",
    source="https://github.com/nightrome/cocostuff (stuffthingmaps_trainval2017.zip), https://cocodataset.org",
)

FOLDERS = {"train": "train2017", "val": "val2017"}
IMAGES = ("images", ".")
MASKS = ("annotations", "stuffthingmaps", "stuffthingmaps_trainval2017")
LAYOUT = "images/{train,val}2017/*.jpg and annotations/{train,val}2017/*.png (or stuffthingmaps/…)"
TABLE = LabelTable(
    {IGNORE_LABEL: IGNORE_LABEL, **{number - 1: label for label, number in enumerate(coco_stuff10k.IDS)}},
    "the maps of COCO-Stuff 164K (171 of the values 0…181, and 255)",
)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The splits whose maps are there."""
    found = tuple(split for split in FOLDERS if _has(root, MASKS, split))
    if not found:
        _folder(root, MASKS, "train")
    return found


def examples(root: str | os.PathLike, split: str) -> Examples:
    """Every image and every map of a split; those without the other are `missing`.

    Where images are fewer than they should be and one of COCO's own files of annotations lies beside the maps, it tells
    which.
    """
    if split not in FOLDERS:
        raise DatasetError(f"COCO-Stuff 164K has no split {split!r} (known: {', '.join(FOLDERS)})")
    images, masks = _folder(root, IMAGES, split), _folder(root, MASKS, split)
    maps = [name for name in find_stems(masks, ".png") if name.isdigit()]  # others add …_labelTrainIds.png
    names = sorted({*find_stems(images, ".jpg"), *maps})
    entries = [(name, images / f"{name}.jpg", masks / f"{name}.png") for name in names]
    official = () if len(names) == INFO.splits[split] else _official_ids(masks.parent, split)
    return complete_examples(entries, f"COCO-Stuff 164K's split {split}", official=official, read_labels=TABLE.read)


def _official_ids(folder, split):
    """The ids of all images of a split, from COCO's smallest file that has them; none where there is no such file."""
    for kind in ("image_info", "captions", "stuff", "instances"):
        path = folder / f"{kind}_{FOLDERS[split]}.json"
        if path.is_file():
            try:
                return [pathlib.PurePath(image["file_name"]).stem for image in json.loads(path.read_bytes())["images"]]
            except (OSError, KeyError, TypeError, ValueError, RecursionError):
                continue  # it is only asked for a better message
    return ()


def _folder(root, places, split):
    return find_folder(root, [f"{place}/{FOLDERS[split]}" for place in places], LAYOUT)


def _has(root, places, split):
    try:
        return _folder(root, places, split).is_dir()
    except DatasetError:
        return False
