"""PASCAL VOC 2012, the segmentation task: 21 classes with background (Sect. 2.3.1.1).

`train_aug` has the labels of SBD besides VOC's (Sect. 2.3.1.2): the images of VOC train with VOC's own labels, then all
that SBD adds, and nothing of VOC val. Its labels are looked for in SBD's own release (benchmark_RELEASE/dataset beside
or below the folder given), then in the ready-made form: VOC2012/SegmentationClassAug with the list train_aug.txt.
`test` has no public labels: every pixel is ignored.
"""

import os
import pathlib

from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import Examples, complete_examples, no_labels, read_lines, read_mask
from deeplab_ksac.datasets.sources import sbd_release

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
    splits={"train": 1464, "val": 1449, "trainval": 2913, "train_aug": 10582, "test": 1456},
    description="Photographs with twenty kinds of objects and background; train_aug has SBD's labels besides VOC's",
    source="http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
)

LISTS = pathlib.PurePath("ImageSets", "Segmentation")
READY_MADE = "SegmentationClassAug"


def find_root(root: str | os.PathLike) -> pathlib.Path:
    """The folder VOC2012 itself, given it, or VOCdevkit, or the folder that contains VOCdevkit."""
    root = pathlib.Path(root)
    for candidate in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (candidate / LISTS).is_dir():
            return candidate
    raise DatasetError(
        f"{root} is not PASCAL VOC 2012: expected VOCdevkit/VOC2012/ImageSets/Segmentation in it (or VOCdevkit, or "
        f"VOC2012 itself)"
    )


def read_ids(voc: pathlib.Path, split: str) -> list[str]:
    """The ids that VOC's own list of a split has, in its order; `voc` is the folder VOC2012."""
    return [line.split()[0] for line in read_lines(voc / LISTS / f"{split}.txt")]


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The official splits whose list and labels are there."""
    voc = find_root(root)
    has_masks = (voc / "SegmentationClass").is_dir()
    found = [s for s in INFO.splits if (voc / LISTS / f"{s}.txt").is_file() and (has_masks or s == "test")]
    augmented = sbd_release.find(root, voc) or (_ready_made(voc) and has_masks)
    return tuple(s for s in INFO.splits if (augmented if s == "train_aug" else s in found))


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The images that `ImageSets/Segmentation/<split>.txt` lists, with their labels; `train_aug` is put together."""
    voc = find_root(root)
    what = f"VOC's split {split}"
    if split == "train_aug":
        return complete_examples(_augmented(root, voc), what, read_labels=_read_labels)
    if split == "test":
        pictures = [(name, _image(voc, name), _image(voc, name)) for name in read_ids(voc, split)]
        return complete_examples(pictures, what, read_labels=no_labels)
    return complete_examples([(name, _image(voc, name), _mask(voc, name)) for name in read_ids(voc, split)], what)


def _augmented(root, voc):
    """(id, image, mask or SBD's class map) of VOC train and of what is labeled beyond VOC train and val."""
    train, val = read_ids(voc, "train"), set(read_ids(voc, "val"))
    release = sbd_release.find(root, voc)
    if release is not None:
        more = {name: sbd_release.class_map(release, name) for name in sbd_release.read_ids(release)}
    elif _ready_made(voc):
        more = {name: voc / READY_MADE / f"{name}.png" for name in read_ids(voc, "train_aug")}
        wrong = sorted(val.intersection(more))
        if wrong:
            raise DatasetError(
                f"{voc / LISTS / 'train_aug.txt'} lists {len(wrong)} images of VOC val, the first {wrong[0]}; "
                f"they would be trained on and evaluated on"
            )
    else:
        raise DatasetError(f"{root} has no split train_aug: expected {sbd_release.LAYOUT}, or {READY_MADE} in {voc}")
    labels = {**more, **{name: _mask(voc, name) for name in train}}
    return [(name, _image(voc, name), labels[name]) for name in sorted(labels.keys() - val)]


def _ready_made(voc):
    return (voc / READY_MADE).is_dir() and (voc / LISTS / "train_aug.txt").is_file()


def _image(voc, name):
    return voc / "JPEGImages" / f"{name}.jpg"


def _mask(voc, name):
    return voc / "SegmentationClass" / f"{name}.png"


def _read_labels(path):
    return sbd_release.read_class_map(path) if path.suffix == ".mat" else read_mask(path)
