"""Data sets of Ultralytics: data.yaml, pictures, and for each a text file of polygons (YOLO-seg) or a mask.

data.yaml                    names, and for train, val and test the folders of the pictures (`path` in front of them),
                             or text files that list them, as CVAT writes
images/train/…, …            the pictures
labels/train/….txt, …        their labels: in place of the last folder called `images` there is `labels`
masks/train/….png, …         or masks, in the folder that data.yaml calls `masks_dir`, or in `masks` without `labels`

A line is a class and the corners of a polygon, x and y in turn, as shares of the picture's width and height. A picture
without such a file has no objects. Where polygons overlap, the smaller is on top, as Ultralytics draws them. Pixels in
no polygon are background (label 0, the classes of data.yaml behind it) or, with `unlabeled="ignored"`, 255.

A mask holds the numbers of the classes, 255 for ignored, or what `label_mapping` makes one of these. If there is only
one class, 0 is background and 1 the class.
"""

import dataclasses
import os
import pathlib
import re

import numpy as np

from deeplab_ksac.datasets import annotations
from deeplab_ksac.datasets.class_list import CLASSES_FILE, read_class_list
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_table import LabelTable
from deeplab_ksac.datasets.mask_classes import count_values
from deeplab_ksac.datasets.outlines import Drawing, Shape
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import IMAGE_SUFFIXES, Examples, find_files, numbered_lines, read_lines, shown_size
from deeplab_ksac.datasets.reading import AS_IT_IS, BACKGROUND, Reading
from deeplab_ksac.datasets.simple_yaml import read_yaml
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(
    name="ultralytics", class_names=(), colors=(), description="Pictures with polygons or masks for Ultralytics"
)
READS = ("unlabeled",)

SPLITS = ("train", "val", "test")
KEYS = (*SPLITS, "valid", "path", "names", "masks_dir", "label_mapping")  # of data.yaml; others are not looked at
LAYOUT = "data.yaml with names and train, and the folders images/ and labels/ or masks/ (of Ultralytics)"
LABELS, MASKS, SUFFIXES = "labels", "masks", (".txt", ".png")
IGNORED_WORDS = ("ignore_label", "null", "~", "", str(IGNORE_LABEL))  # in label_mapping
DECIMALS = 2  # of corners in pixels: tools write hundredths at most, which shares of six digits hide


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the names of data.yaml."""
    if not _mask_folder(root):
        return annotations.info_of(INFO, _read_classes(root, reading)[0])
    names, colors, _ = _read_mask_classes(root, reading)
    return dataclasses.replace(INFO, class_names=names, colors=colors)


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """Those of train, val and test for which data.yaml has a folder or a list."""
    return tuple(_places(root))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The pictures of a split, by path."""
    places = _places(root)
    if split not in places:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(places) or 'none'})")
    place, masks = places[split], _mask_folder(root)
    files = _listed(place, root) if place.is_file() else _inside(place)
    pictures = [(name, path) for name, path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    others = [path for _, path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    found = (_of_masks if masks else _of_lines)(root, place, pictures, reading)
    if place.is_dir():
        found.left_out += _without_picture(place, masks or LABELS, found)
    if others:
        words = "1 file that is no picture" if len(others) == 1 else f"{len(others)} files that are no pictures"
        found.left_out += (f"{words} (the first {others[0]})",)
    return found


def values_of(labels: "Lines | pathlib.Path") -> dict[int | tuple[int, ...], int]:
    """{value in a mask: its pixels}; nothing of a text file."""
    return {} if isinstance(labels, Lines) else count_values(labels)


def _of_masks(root, place, pictures, reading):
    """`Examples` of pictures with masks."""
    folder, (*_, table) = _mask_folder(root), _read_mask_classes(root, reading)
    entries = [(name, path, _labels_of(path, folder, ".png")) for name, path in pictures]
    return annotations.drawn_examples(entries, str(place), read=table.read)


def _of_lines(root, place, pictures, reading):
    """`Examples` of pictures with text files of polygons."""
    classes, numbers = _read_classes(root, reading)
    entries = [
        (name, path, Lines(_labels_of(path, LABELS, ".txt"), path, numbers, classes.unlabeled))
        for name, path in pictures
    ]
    if entries and not any(lines.path.is_file() and lines.path.stat().st_size for *_, lines in entries):
        first = entries[0][2].path
        raise DatasetError(
            f"none of the {len(entries)} pictures of {place} has a text file with polygons, such as {first}"
        )
    return annotations.drawn_examples(entries, str(place))


def _without_picture(place, folder, found):
    """A sentence on the labels, in that folder, of no picture in `place`."""
    known = {str(labels) for *_, labels in found.entries}
    files = find_files(_labels_of(place / "any", folder, "").parent)
    alone = [path for path in files if path.suffix in SUFFIXES and path.name != CLASSES_FILE and str(path) not in known]
    return (f"{len(alone)} files of labels without a picture (the first {alone[0]})",) if alone else ()


@dataclasses.dataclass(frozen=True)
class Lines:
    """The polygons of one picture, in a text file that need not be there; its text names the file.

    Attributes:
        path: the text file.
        image: the picture.
        numbers: {number of a class: label 0…K−1}.
        unlabeled: the label of the pixels in no polygon.
    """

    path: pathlib.Path
    image: pathlib.Path
    numbers: dict[int, int]
    unlabeled: int

    def __str__(self) -> str:
        return str(self.path)

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """The text file, if it is there."""
        return (self.path,) if self.path.is_file() else ()

    def labels(self) -> np.ndarray:
        """The label map: uint8 [H, W].

        Raises:
            DatasetError: the picture or the text cannot be read; the message has the line.
        """
        height, width = shown_size(self.image)
        lines = numbered_lines(self.path) if self.path.is_file() else []
        shapes = tuple(self._shape(number, line, width, height) for number, line in lines)
        return Drawing(f"in {self.path}", (height, width), shapes, self.unlabeled, smaller_on_top=True).labels()

    def _shape(self, number, line, width, height):
        place = f"{self.path}: line {number}"
        try:
            kind, *shares = (float(word) for word in line.split())
        except ValueError as error:
            raise DatasetError(f"{place}: {in_one_line(error)}") from None
        if kind not in self.numbers:
            raise DatasetError(f"{place} has the class {kind:g}; data.yaml has {min(self.numbers)}…{max(self.numbers)}")
        if len(shares) == 4:
            raise DatasetError(f"{place} is a box (5 numbers); segmentation needs polygons")
        if len(shares) < 6 or len(shares) % 2:
            raise DatasetError(f"{place} has {len(shares)} numbers behind the class; a polygon has 6, 8, 10 …")
        outside = [share for share in shares if not -0.01 <= share <= 1.01]
        if outside:
            raise DatasetError(
                f"{place}: {len(outside)} of {len(shares)} numbers lie outside 0…1, the first {outside[0]:g}; they are "
                "shares of the picture's width and height"
            )
        corners = np.round(np.reshape(shares, (-1, 2)) * (width, height), DECIMALS)
        return Shape(self.numbers[int(kind)], (corners,))


def _labels_of(image, folder, suffix):
    """The labels of a picture, by Ultralytics' rule."""
    parts = list(image.with_suffix(suffix).parts)
    places = [i for i, part in enumerate(parts) if part == "images"]
    if not places:
        raise DatasetError(f"{image} lies in no folder called images, so that its labels cannot be found; {LAYOUT}")
    parts[places[-1]] = folder
    return pathlib.Path(*parts)


def _inside(folder):
    """(id, path) of the files below a folder."""
    return [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in find_files(folder)]


def _listed(path, root):
    """(id, path) of the pictures that a text file lists; ids begin behind the folder images/<split>."""
    found = []
    for line in read_lines(path):
        places = [place / line for place in (path.parent, root)]
        places += [place / line.partition("/")[2] for place in (path.parent, root)]  # CVAT writes data/images/…
        picture = next((place for place in places if place.is_file()), places[0])
        inner = line.rpartition("images/")[2].removeprefix(f"{path.stem}/")
        found.append((annotations.id_of(inner), picture))
    return found


def _places(root):
    """{split: the folder of its pictures, or the text file that lists them}."""
    root, content, found = pathlib.Path(root), _read_yaml(root), {}
    for split in SPLITS:
        given = content.get(split) or (content.get("valid") if split == "val" else None)
        if not given:
            continue
        if not isinstance(given, str):
            raise DatasetError(f"{_yaml(root)}: {split} is {given!r}; expected one folder of pictures, or one list")
        inside = re.sub(r"^(\.\./)+", "", given)  # Roboflow writes ../train/images for train/images
        places = [root / str(content.get("path") or "") / given, root / given, root / inside]
        place = next((place for place in places if place.is_dir() or place.is_file()), None)
        if place is None:
            raise DatasetError(
                f"{_yaml(root)}: the folder of {split}, {given!r}, is not in {root}; put it there, or take out the line"
            )
        found[split] = place
    if not found:
        raise DatasetError(f"{_yaml(root)} names no folder of pictures; expected {LAYOUT}")
    return found


def _mask_folder(root):
    """The name of the folder that the masks are in; "" where the labels are text files."""
    content = _read_yaml(root)
    base = pathlib.Path(root) / str(content.get("path") or "")
    base = base if base.is_dir() else pathlib.Path(root)
    return content.get("masks_dir") or (MASKS if (base / MASKS).is_dir() and not (base / LABELS).is_dir() else "")


def _read_mask_classes(root, reading):
    """(names, colors, the `LabelTable` of the values in the masks)."""
    path, names, mapping = _yaml(root), _read_names(root), _read_yaml(root).get("label_mapping") or {}
    if reading.unlabeled != BACKGROUND:
        raise DatasetError(
            f"{root} has masks, which label every pixel; unlabeled (--unlabeled) is for polygons, and label_mapping in "
            f"{path} says which values are ignored ('0: ignore_label')"
        )
    if len(names) == 1:
        names = {0: BACKGROUND, 1: next(iter(names.values()))}
    listed = pathlib.Path(root) / CLASSES_FILE
    order = tuple(names[number] for number in sorted(names))
    order, colors = read_class_list(listed) if listed.is_file() else (order, voc_palette(len(order)))
    absent = [name for name in names.values() if name not in order]
    if absent:
        raise DatasetError(f"the list of classes of {root} lacks {len(absent)} of the names in {path}: {absent[0]}")
    labels = {number: order.index(name) for number, name in names.items()}
    table = {IGNORE_LABEL: IGNORE_LABEL, **labels}
    for value, word in mapping.items() if isinstance(mapping, dict) else [(mapping, "")]:
        number = IGNORE_LABEL if word in IGNORED_WORDS else int(word) if word.isdecimal() else None
        if not isinstance(value, int) or number not in (*labels, IGNORE_LABEL):
            raise DatasetError(f"{path}: label_mapping has '{value}: {word}'; expected a value and a number of names")
        if value >= 0:  # no picture holds Cityscapes' −1
            table[value] = IGNORE_LABEL if number == IGNORE_LABEL else labels[number]
    try:
        return order, colors, LabelTable(table, f"the names and label_mapping of {path}")
    except ValueError as error:
        raise DatasetError(f"{path}: {in_one_line(error)}") from error


def _read_names(root):
    """{number: name of a class}."""
    path, names = _yaml(root), _read_yaml(root).get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(number, int) and number >= 0 for number in names):
        raise DatasetError(f"{path} has no names of classes: a list, or lines such as '0: road'")
    return names


def _read_classes(root, reading):
    """(the `Classes`, {number in the text files: label})."""
    path, names = _yaml(root), _read_names(root)
    classes = annotations.find_classes(root, [names[number] for number in sorted(names)], reading, path)
    absent = [name for name in names.values() if name not in classes.labels]
    if absent:
        raise DatasetError(f"the list of classes of {root} lacks {len(absent)} of the names in {path}: {absent[0]}")
    return classes, {number: classes.labels[name] for number, name in names.items()}


def _yaml(root):
    root = pathlib.Path(root)
    candidates = (path for path in (*root.glob("*.yaml"), *root.glob("*.yml")) if not path.name.startswith("."))
    found = sorted(path for path in candidates if path.is_file())
    named = [path for path in found if path.stem == "data"]
    if len(named or found) != 1:
        raise DatasetError(f"{root} has {len(found)} files *.yaml; expected {LAYOUT}")
    return (named or found)[0]


def _read_yaml(root):
    """What data.yaml says."""
    return read_yaml(_yaml(root), KEYS)
