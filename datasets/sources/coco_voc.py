"""COCO 2017's instances drawn as PASCAL VOC's 21 classes, for pretraining (Sect. 2.3.1.3).

A split is the images with at least one instance of a VOC class whose annotated region is larger than 1,000 pixels; the
other sixty classes are background. A crowd of a VOC class is ignored: its outline holds things and what lies between
them. Where instances overlap, the smaller one is on top, since COCO does not say which is in front.
"""

import collections
import dataclasses
import os
import pathlib

import numpy as np

from deeplab_ksac.datasets.annotations import read_json
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.raw import Examples, complete_examples, find_folder
from deeplab_ksac.datasets.sources import voc2012
from deeplab_ksac.datasets.tables import read_table
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(
    name="coco_voc",
    class_names=voc2012.INFO.class_names,
    colors=voc2012.INFO.colors,
    description="Photographs of COCO 2017 that show VOC's classes (about 60,000 in the thesis's selection)",
    source="https://cocodataset.org (train2017.zip, val2017.zip, annotations_trainval2017.zip)",
)

MIN_REGION = 1000
FOLDERS = {"train": "train2017", "val": "val2017"}
LAYOUT = "annotations/instances_{train,val}2017.json and train2017/, val2017/ (or images/train2017/ and so on)"
_CATEGORIES = read_table("coco_voc")
LABELS = {int(row["id"]): int(row["label"]) for row in _CATEGORIES}
NAMES = {int(row["id"]): row["name"] for row in _CATEGORIES}


@dataclasses.dataclass(frozen=True)
class Instance:
    """One annotated thing or crowd of a VOC class: its label and COCO's outline (polygons or run lengths)."""

    label: int
    is_crowd: bool
    outline: list | dict


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What the instances file says of one image; its text names the place."""

    path: pathlib.Path
    image_id: int
    size: tuple[int, int]
    instances: tuple[Instance, ...]

    def __str__(self):
        return f"of image {self.image_id} in {self.path}"


def find_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The splits whose instances file is there."""
    found = tuple(split for split in FOLDERS if _instances_file(root, split).is_file())
    if not found:
        raise DatasetError(f"{root} has no instances of COCO 2017: expected {LAYOUT}")
    return found


def examples(root: str | os.PathLike, split: str) -> Examples:
    """The images of a split that the rule of the module's first lines takes, in COCO's order of ids.

    Raises:
        DatasetError: pycocotools is not installed, or the files are not COCO's.
    """
    if split not in FOLDERS:
        raise DatasetError(f"coco_voc has no split {split!r} (known: {', '.join(FOLDERS)})")
    _mask_tools()
    path = _instances_file(root, split)
    images = find_folder(root, [f"{place}/{FOLDERS[split]}" for place in (".", "images")], LAYOUT)
    content = read_json(path, "COCO's instances")
    try:
        entries = tuple(_select(path, content, images))
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} cannot be read as COCO's instances: {in_one_line(error)}") from error
    return complete_examples(entries, f"COCO's {FOLDERS[split]}", read_labels=draw_labels)


def draw_labels(annotations: Annotations) -> np.ndarray:
    """Draws the `Annotations` of an image: uint8 [H, W], 0…20 and 255.

    Raises:
        DatasetError: an outline is none of COCO's forms, or of another size than the image.
    """
    tools = _mask_tools()
    labels = np.zeros(annotations.size, np.uint8, order="F")  # as pycocotools has its masks
    try:
        runs = [_run_lengths(instance.outline, annotations.size) for instance in annotations.instances]
        areas = tools.area(runs) if runs else []
        painted = zip(annotations.instances, areas, runs, strict=True)
        for instance, _, run in sorted(painted, key=lambda item: (not item[0].is_crowd, -int(item[1]))):
            label = np.uint8(IGNORE_LABEL if instance.is_crowd else instance.label)
            np.copyto(labels, label, where=tools.decode(run).view(bool))
    except Exception as error:  # pycocotools raises bare ones
        raise DatasetError(f"the annotations {annotations} cannot be drawn: {in_one_line(error)}") from error
    return np.ascontiguousarray(labels)


def _select(path, content, images):
    """(id, image path, Annotations) of the images that are taken."""
    names = {category["id"]: category["name"] for category in content["categories"]}
    wrong = [
        f"{number} is {names.get(number)!r}, not {name!r}"
        for number, name in NAMES.items()
        if names.get(number) != name
    ]
    if wrong:
        raise DatasetError(f"{path} has other categories than COCO 2017: {wrong[0]}")
    instances, taken = collections.defaultdict(list), set()
    for annotation in content["annotations"]:
        label = LABELS.get(annotation["category_id"])
        if label is None:
            continue
        image, is_crowd = annotation["image_id"], bool(annotation["iscrowd"])
        instances[image].append(Instance(label, is_crowd, _compact(annotation["segmentation"])))
        if not is_crowd and annotation["area"] > MIN_REGION:
            taken.add(image)
    for image in sorted((i for i in content["images"] if i["id"] in taken), key=lambda i: i["id"]):
        labels = Annotations(path, image["id"], (image["height"], image["width"]), tuple(instances[image["id"]]))
        yield pathlib.PurePath(image["file_name"]).stem, images / image["file_name"], labels


def _compact(outline):
    """An outline with its numbers in arrays, a quarter of the memory of Python's."""
    if isinstance(outline, dict):
        return {**outline, "counts": np.asarray(outline["counts"], np.uint32)} if _is_plain(outline) else outline
    return [np.asarray(polygon, np.float64) for polygon in outline]


def _is_plain(outline):
    return not isinstance(outline["counts"], str | bytes)


def _run_lengths(outline, size):
    """pycocotools' form of an outline: of polygons, of plain run lengths, or of its own compressed ones."""
    tools = _mask_tools()
    if isinstance(outline, dict):
        if tuple(outline["size"]) != size:
            raise ValueError(f"run lengths are for {outline['size']}, the image is {list(size)} (height, width)")
        if not _is_plain(outline):
            return outline
        if sum(outline["counts"].tolist()) != size[0] * size[1]:
            raise ValueError(f"run lengths cover {outline['counts'].sum()} pixels, the image has {size[0] * size[1]}")
        return tools.frPyObjects({"counts": outline["counts"].tolist(), "size": list(size)}, *size)
    polygons = [polygon for polygon in outline if len(polygon) >= 6]  # a point or a line covers nothing
    return tools.merge(tools.frPyObjects(polygons, *size)) if polygons else tools.encode(np.zeros(size, np.uint8, "F"))


def _instances_file(root, split):
    return find_folder(root, ("annotations",), LAYOUT) / f"instances_{FOLDERS[split]}.json"


def _mask_tools():
    try:
        from pycocotools import mask
    except ImportError as error:
        raise DatasetError("coco_voc needs pycocotools: pip install 'deeplab-ksac[coco]'") from error
    return mask
