"""What the Semantic Boundaries Dataset adds to PASCAL VOC 2012 (Sect. 2.3.1.2): VOC's classes, without void borders.

`train` is SBD's train and val together without every image of VOC train and VOC val, taken from VOC's own lists. Two
raw folders are needed, in one folder or side by side: SBD's benchmark_RELEASE/dataset and VOC's VOCdevkit/VOC2012
(only its lists). VOC train and this make `voc2012/train_aug`.
"""

import itertools
import os
import pathlib

from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.raw import Examples, complete_examples
from deeplab_ksac.datasets.sources import sbd_release, voc2012

INFO = DatasetInfo(
    name="sbd",
    class_names=voc2012.INFO.class_names,
    colors=voc2012.INFO.colors,
    splits={"train": 9118},
    description="The Semantic Boundaries Dataset without the images of VOC 2012 train and val, in VOC's 21 classes",
    source="http://home.bharathh.info/pubs/codes/SBD/download.html",
)


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """`train`, where SBD and VOC are there."""
    _find_roots(root)
    return tuple(INFO.splits)


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The images of SBD's two lists that VOC train and val have not, with the labels of `cls/*.mat`."""
    release, voc = _find_roots(root)
    if split not in INFO.splits:
        raise DatasetError(f"SBD has no split {split!r} here: its train and val without VOC's are the split train")
    in_voc = {name for part in ("train", "val") for name in voc2012.read_ids(voc, part)}
    entries = [
        (name, release / "img" / f"{name}.jpg", sbd_release.class_map(release, name))
        for name in sbd_release.read_ids(release)
        if name not in in_voc
    ]
    return complete_examples(entries, f"SBD's split {split}", read_labels=sbd_release.read_class_map)


def _find_roots(root):
    """(SBD's folder `dataset`, VOC's folder VOC2012)."""
    root = pathlib.Path(root)
    release = sbd_release.find(root)
    if release is None:
        raise DatasetError(f"{root} is not SBD: expected {sbd_release.LAYOUT}")
    for place in (root, *itertools.islice(release.parents, 3)):
        try:
            return release, voc2012.find_root(place)
        except DatasetError:
            continue
    raise DatasetError(
        f"{root} has no VOCdevkit/VOC2012 next to SBD; it is needed, because its lists say which images are VOC's"
    )
