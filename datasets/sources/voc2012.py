"""PASCAL VOC 2012, the segmentation task: 21 classes with background (Sect. 2.3.1.1)."""

import pathlib

from datasets.info import DatasetError, DatasetInfo
from datasets.palettes import voc_palette
from datasets.raw import Examples, read_lines, require_files

INFO = DatasetInfo(
    name="voc2012",
    class_names=(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "dining table",
        "dog",
        "horse",
        "motorbike",
        "person",
        "potted plant",
        "sheep",
        "sofa",
        "train",
        "tv monitor",
    ),
    colors=voc_palette(21),
    splits={"train": 1464, "val": 1449, "trainval": 2913, "train_aug": 10582},
    description="Photographs with twenty kinds of objects and background; train_aug has SBD's labels besides VOC's",
    source="http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
)

MASK_FOLDERS = {"train_aug": "SegmentationClassAug"}


def find_root(root):
    """The folder VOC2012 itself, given it, or VOCdevkit, or the folder that contains VOCdevkit."""
    root = pathlib.Path(root)
    for candidate in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (candidate / "ImageSets" / "Segmentation").is_dir():
            return candidate
    raise DatasetError(
        f"{root} is not PASCAL VOC 2012: expected VOCdevkit/VOC2012/ImageSets/Segmentation in it (or VOCdevkit, or "
        f"VOC2012 itself)"
    )


def find_splits(root):
    """The official splits whose list and mask folder are there."""
    root = find_root(root)
    lists = root / "ImageSets" / "Segmentation"
    return tuple(s for s in INFO.splits if (lists / f"{s}.txt").is_file() and _mask_folder(root, s).is_dir())


def examples(root, split):
    """The images that `ImageSets/Segmentation/<split>.txt` lists, with SegmentationClass (train_aug: …ClassAug)."""
    root = find_root(root)
    ids = [line.split()[0] for line in read_lines(root / "ImageSets" / "Segmentation" / f"{split}.txt")]
    images = [root / "JPEGImages" / f"{name}.jpg" for name in ids]
    masks = [_mask_folder(root, split) / f"{name}.png" for name in ids]
    require_files(images, f"images of split {split} are")
    require_files(masks, f"masks of split {split} are")
    return Examples(zip(ids, images, masks))


def _mask_folder(root, split):
    return root / MASK_FOLDERS.get(split, "SegmentationClass")
