"""Any data set in COCO's format, as COCO itself, CVAT, Label Studio, Roboflow and others export it.

annotations/instances_train.json, …   or any .json there, in the folder itself, or <split>/_annotations.coco.json;
annotations/panoptic_train.json and the folder panoptic_train/ of its PNG files
train/…, images/train/…, images/…     or beside the annotation file: the pictures, by `file_name`

The split is the file's name without `instances_` or `panoptic_` and without a year (instances_val2017.json: val), or
the folder's; Train is train, valid and validation are val. A single file of another name is train. Of instances and
panoptic files of one split the instances are read.

Categories become classes in the order of their ids. Pixels in no outline are background (label 0) or, with
`unlabeled="ignored"`, 255. Outlines are polygons or run lengths, compressed or not; what is `iscrowd` is ignored (255)
where no instance covers it. Where instances overlap, the smaller is on top, since COCO does not say which is in front.
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import re

import numpy as np

from deeplab_ksac.arguments import check_lists_of_whole_numbers
from deeplab_ksac.datasets import annotations, polygons
from deeplab_ksac.datasets.color_table import read_colors
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.outlines import Drawing, RunLengths, Shape
from deeplab_ksac.datasets.raw import Examples, find_folders
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(name="coco", class_names=(), colors=(), description="Pictures with annotations in COCO's format")
READS = ("unlabeled",)

LAYOUT = "annotations/*.json, *.json or <split>/_annotations.coco.json in COCO's format"
WHAT = "annotations in COCO's format"
KINDS = ("instances", "panoptic")  # the first is read where both are there
OF_FOLDER = "_annotations.coco.json"  # as Roboflow calls it
SHOWN = 5


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the categories of the annotation files, which must be the same in all of them."""
    return annotations.info_of(INFO, _read_classes(root, reading))


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The splits that have an annotation file; train comes first."""
    return tuple(_find_files(root)[0])


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The images that the split's annotation file lists, in the order of their ids.

    Raises:
        DatasetError: no such split, or a file that is not COCO's.
    """
    files, _ = _find_files(root)
    if split not in files:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(files)})")
    path, classes = files[split], _read_classes(root, reading)
    content = _read(path)
    folder = _picture_folder(root, split, path, content)
    with _as_coco(path):
        drawn = (_segments if _is_panoptic(content) else _drawings)(path, content, classes)
        images = sorted(content["images"], key=lambda image: image["id"])
        for one, other in itertools.pairwise(images):
            if one["id"] == other["id"]:
                names = f"{one['file_name']} and {other['file_name']}"
                raise DatasetError(f"{path}: two images have the id {one['id']}: {names}")
        entries = [
            (annotations.id_of(image["file_name"]), folder / _slashes(image["file_name"]), drawn[image["id"]])
            for image in images
        ]
    found = [image for _, image, _ in entries]
    left_out = annotations.pictures_without_annotations(folder, found) if len(files) == 1 else ()
    crowds = _count_crowds(content)
    if crowds:
        left_out += (
            f"{crowds} annotations with iscrowd=1, whose pixels are ignored (CVAT exports masks of its brush so; its "
            "other formats keep them)",
        )
    parts = [part for one in drawn.values() for shape in getattr(one, "shapes", ()) for part in shape.parts]
    without_area = sum(isinstance(part, np.ndarray) and len(part) < 3 for part in parts)
    if without_area:
        left_out += (f"{without_area} polygons of fewer than 3 points, which cover no area (in {path})",)
    here = [entry for entry in entries if all(file.is_file() for file in getattr(entry[2], "files", ()))]
    names = {name for name, *_ in here}
    found = annotations.drawn_examples(here, str(path), left_out=left_out)
    found.missing += tuple(name for name, *_ in entries if name not in names)
    return found


def left_out(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """Sentences on the annotation files that are of no split."""
    return _find_files(root)[1]


@dataclasses.dataclass(frozen=True)
class Segments:
    """What a panoptic file says of one picture: the PNG whose colors are numbers of segments; its text is the path.

    Attributes:
        path: the PNG.
        segments: {number of a segment: label 0…K−1 or 255}.
        unlabeled: the label of the pixels of number 0.
    """

    path: pathlib.Path
    segments: dict[int, int]
    unlabeled: int

    def __str__(self) -> str:
        return str(self.path)

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """The PNG."""
        return (self.path,)

    def labels(self) -> np.ndarray:
        """The label map: uint8 [H, W].

        Raises:
            DatasetError: no such PNG, or numbers that `segments` does not have, with their pixel counts.
        """
        colors = read_colors(self.path).astype(np.int64)
        numbers = colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]
        known = {0: self.unlabeled, **self.segments}
        order = np.array(sorted(known))
        places = np.minimum(np.searchsorted(order, numbers), len(order) - 1)
        unknown = order[places] != numbers
        if unknown.any():
            found, counts = np.unique(numbers[unknown], return_counts=True)
            shown = ", ".join(f"{n} ({count} pixels)" for n, count in zip(found[:SHOWN], counts[:SHOWN], strict=True))
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise DatasetError(f"{self.path} has segments that its segments_info does not list: {shown}{more}")
        return np.array([known[number] for number in order.tolist()], np.uint8)[places]


def _find_files(root):
    """({split: its annotation file}, sentences on the others); the split called train comes first."""
    root = pathlib.Path(root)
    candidates = [
        *sorted((root / "annotations").glob("*.json")),
        *sorted(root.glob("*.json")),
        *(root / split / OF_FOLDER for split in find_folders(root)),
    ]
    candidates = [path for path in candidates if path.is_file() and not path.name.startswith(".")]
    found, others = {}, []
    named = [path for path in candidates if _kind(path) is not None]
    for path in named or candidates:
        of_folder = path.name == OF_FOLDER
        split = annotations.split_name(path.parent.name) if of_folder else _split_of(path, alone=not named)
        previous = found.setdefault(split, path)
        if previous == path:
            continue
        if _kind(path) == _kind(previous):
            raise DatasetError(f"{root} has two annotation files of the split {split}: {previous} and {path}; keep one")
        first, second = sorted((previous, path), key=lambda file: KINDS.index(_kind(file)))
        found[split] = first
        others.append(f"the annotation file {second}: of the split {split}, {first.name} is read")
    if not found:
        raise DatasetError(f"{root} has no annotation file; expected {LAYOUT}")
    rest = [path for path in candidates if path not in found.values() and named]
    others += [f"the annotation file {path}: of neither instances nor segments" for path in rest if _kind(path) is None]
    return dict(sorted(found.items(), key=lambda item: (item[0] != annotations.TRAIN, item[0]))), tuple(others)


def _kind(path):
    """instances or panoptic, by the name of an annotation file; None for other names."""
    if path.name == OF_FOLDER:
        return KINDS[0]
    return next((kind for kind in KINDS if path.name.startswith(f"{kind}_")), None)


def _split_of(path, alone):
    name = re.sub(rf"^({'|'.join(KINDS)})_", "", path.stem)
    name = re.sub(r"(?<=[a-z])_?\d{4}$", "", name)
    return annotations.split_name("" if alone and name.lower() not in annotations.USUAL_SPLITS else name)


def _read(path):
    content = annotations.read_json(path, WHAT)
    lacks = [name for name in ("images", "annotations", "categories") if not isinstance(content.get(name), list)]
    if lacks:
        raise DatasetError(f"{path} cannot be read as {WHAT}: it has no list {lacks[0]!r}")
    return content


def _count_crowds(content):
    """The number of crowds, of instances or of segments."""
    annotated = content["annotations"]
    segments = [s for a in annotated for s in a["segments_info"]] if _is_panoptic(content) else annotated
    return sum(bool(one.get("iscrowd", 0)) for one in segments)


def _is_panoptic(content):
    return any("segments_info" in annotation for annotation in content["annotations"][:1])


def _read_classes(root, reading):
    """The `Classes` of all annotation files."""
    known = {}
    for path in _find_files(root)[0].values():
        with _as_coco(path):
            categories = _categories(_read(path))
        for other, theirs in known.items():
            if theirs != categories:
                number = next(n for n in sorted({*theirs, *categories}) if theirs.get(n) != categories.get(n))
                raise DatasetError(
                    f"{path} and {other} have different categories: {number} is {categories.get(number)!r} and "
                    f"{theirs.get(number)!r}"
                )
        known[path] = categories
    path, categories = next(iter(known.items()))
    return annotations.find_classes(root, categories.values(), reading, path)


def _categories(content):
    """{id: name}, in the order of the ids."""
    found = {}
    for category in sorted(content["categories"], key=lambda c: c["id"]):
        number, name = category["id"], category["name"]
        if number in found:
            raise ValueError(f"2 categories have the id {number}, {found[number]!r} and {name!r}")
        found[number] = name
    nameless = [number for number, name in found.items() if not isinstance(name, str) or not name.strip()]
    if nameless:
        raise ValueError(f"{len(nameless)} of {len(found)} categories have no name, the first is {nameless[0]}")
    return found


@contextlib.contextmanager
def _as_coco(path):
    """Inside, what is not as COCO has it is a `DatasetError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, DatasetError):
            raise
        lacks = f"something in it has no {error}" if isinstance(error, KeyError) else in_one_line(error)
        raise DatasetError(f"{path} cannot be read as {WHAT}: {lacks}") from error


def _picture_folder(root, split, path, content):
    """The folder in which images of an annotation file are."""
    root, name = pathlib.Path(root), path.stem.partition("_")[2]
    below = [folder for word in (name, path.stem, split) if word for folder in (root / "images" / word, root / word)]
    candidates = [path.parent, *below, root / "images", root]
    with _as_coco(path):
        names = [_slashes(image["file_name"]) for image in content["images"]]
    with_some = (folder for folder in candidates if any((folder / name).is_file() for name in names))
    return next(with_some, candidates[-2])


def _slashes(name):
    """A path as it is written on any system; Label Studio on Windows writes backslashes."""
    return name.replace("\\", "/")


def _drawings(path, content, classes):
    """{id of an image: its `Drawing`} of an instances file."""
    sizes = {image["id"]: annotations.checked_size(image["height"], image["width"]) for image in content["images"]}
    names = {image["id"]: image["file_name"] for image in content["images"]}
    categories, shapes = _categories(content), collections.defaultdict(list)
    _require_known(path, content["annotations"], sizes, categories, classes)
    for annotation in content["annotations"]:
        number, crowd = annotation["image_id"], annotation.get("iscrowd") or 0
        if crowd not in (0, 1):
            raise DatasetError(f"{path}: annotation {annotation.get('id')}: iscrowd is {crowd!r}, not 0 or 1")
        try:
            parts = _parts(annotation["segmentation"])
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise DatasetError(f"{path}: annotation {annotation.get('id')}: {in_one_line(error)}") from error
        label = IGNORE_LABEL if crowd else classes.labels[categories[annotation["category_id"]]]
        shapes[number].append(Shape(label, parts))
    return {
        number: Drawing(
            f"of {names[number]} in {path}", size, tuple(shapes[number]), classes.unlabeled, smaller_on_top=True
        )
        for number, size in sizes.items()
    }


def _segments(path, content, classes):
    """{id of an image: its `Segments`} of a panoptic file."""
    folder, categories, found = path.with_suffix(""), _categories(content), {}
    numbers = [image["id"] for image in content["images"]]
    for annotation in content["annotations"]:
        _require_known(path, annotation["segments_info"], None, categories, classes)
        segments = {
            segment["id"]: IGNORE_LABEL
            if segment.get("iscrowd", 0)
            else classes.labels[categories[segment["category_id"]]]
            for segment in annotation["segments_info"]
        }
        check_lists_of_whole_numbers(0, segments_info=[0, *segments])
        found[annotation["image_id"]] = Segments(folder / annotation["file_name"], segments, classes.unlabeled)
    without = [number for number in numbers if number not in found]
    if without:
        raise DatasetError(f"{path}: {len(without)} of {len(numbers)} images have no segments, the first {without[0]}")
    return found


def _require_known(path, annotated, images, categories, classes):
    """Makes sure that annotations are of images and categories that are there, and have an outline."""
    strangers = [a.get("id") for a in annotated if images is not None and a["image_id"] not in images]
    if strangers:
        raise DatasetError(
            f"{path}: {len(strangers)} of {len(annotated)} annotations are of images that are not listed, the first "
            f"is annotation {strangers[0]}"
        )
    without = [a["category_id"] for a in annotated if a["category_id"] not in categories]
    if without:
        raise DatasetError(
            f"{path}: {len(without)} of {len(annotated)} annotations are of categories that are not listed, the first "
            f"of category {without[0]}"
        )
    classes.require(collections.Counter(categories[a["category_id"]] for a in annotated), path)
    boxes = [a.get("id") for a in annotated if images is not None and not a.get("segmentation")]
    if boxes:
        raise DatasetError(
            f"{path}: {len(boxes)} of {len(annotated)} annotations have no outline, only a box (the first is "
            f"annotation {boxes[0]}); export the data set for segmentation, or take them out"
        )


def _parts(segmentation):
    """COCO's outline as the parts of a `Shape`."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        counts = counts if isinstance(counts, str) else tuple(counts)
        return (RunLengths(counts, tuple(segmentation["size"]), by_columns=True),)
    return tuple(polygons.corners_of(np.reshape(np.array(part, np.float64), (-1, 2))) for part in segmentation)
