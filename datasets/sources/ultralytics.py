"""Data sets for YOLO-seg of Ultralytics: data.yaml, pictures, and a text file of polygons for each.

data.yaml                    names, and for train, val and test the folders of the pictures (`path` in front of them),
                             or text files that list them, as CVAT writes
images/train/…, …            the pictures
labels/train/….txt, …        their labels: in place of the last folder called `images` there is `labels`

A line is a class and the corners of a polygon, x and y in turn, as shares of the picture's width and height. A picture
without such a file has no objects. Where polygons overlap, the smaller is on top, as Ultralytics draws them. Pixels in
no polygon are background (label 0, the classes of data.yaml behind it) or, with `unlabeled="ignored"`, 255.

Folders with masks in place of text files (images/ and masks/) are data set `folder`.
"""

import dataclasses
import os
import pathlib
import re

import numpy as np

from deeplab_ksac.datasets import annotations
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.outlines import Drawing, Shape
from deeplab_ksac.datasets.raw import IMAGE_SUFFIXES, Examples, find_files, numbered_lines, read_lines, shown_size
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(name="ultralytics", class_names=(), colors=(), description="Pictures with polygons for YOLO-seg")
READS = ("unlabeled",)

SPLITS = ("train", "val", "test")
LAYOUT = "data.yaml with names and train, and the folders images/ and labels/ (YOLO-seg of Ultralytics)"


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the names of data.yaml."""
    return annotations.info_of(INFO, _read_classes(root, reading)[0])


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """Those of train, val and test for which data.yaml has a folder or a list."""
    return tuple(_places(root))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The pictures of a split, by path."""
    places = _places(root)
    if split not in places:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(places) or 'none'})")
    classes, numbers = _read_classes(root, reading)
    place, entries, others = places[split], [], []
    for name, path in _listed(place, root) if place.is_file() else _inside(place):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            entries.append((name, path, Lines(_labels_of(path), path, numbers, classes.unlabeled)))
        else:
            others.append(path)
    if entries and not any(lines.path.is_file() and lines.path.stat().st_size for *_, lines in entries):
        first = entries[0][2].path
        raise DatasetError(
            f"none of the {len(entries)} pictures of {place} has a text file with polygons, such as {first}"
        )
    found = annotations.drawn_examples(entries, str(place))
    if others:
        found.left_out += (f"{len(others)} files that are no pictures (the first {others[0]})",)
    return found


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
        return Shape(self.numbers[int(kind)], (np.reshape(shares, (-1, 2)) * (width, height),))


def _labels_of(image):
    """The text file of a picture, by Ultralytics' rule."""
    parts = list(image.with_suffix(".txt").parts)
    places = [i for i, part in enumerate(parts) if part == "images"]
    if not places:
        raise DatasetError(f"{image} lies in no folder called images, so that its labels cannot be found; {LAYOUT}")
    parts[places[-1]] = "labels"
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
            raise DatasetError(f"{_yaml(root)}: the folder of {split}, {given!r}, is not in {root}")
        found[split] = place
    if not found:
        raise DatasetError(f"{_yaml(root)} names no folder of pictures; expected {LAYOUT}")
    return found


def _read_classes(root, reading):
    """(the `Classes`, {number in the text files: label})."""
    path, names = _yaml(root), _read_yaml(root).get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(number, int) for number in names):
        raise DatasetError(f"{path} has no names of classes: a list, or lines such as '0: road'")
    classes = annotations.find_classes(root, [names[number] for number in sorted(names)], reading, path)
    absent = [name for name in names.values() if name not in classes.labels]
    if absent:
        raise DatasetError(f"the list of classes of {root} lacks {len(absent)} of the names in {path}: {absent[0]}")
    return classes, {number: classes.labels[name] for number, name in names.items()}


def _yaml(root):
    root = pathlib.Path(root)
    found = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    named = [path for path in found if path.stem == "data"]
    if len(named or found) != 1:
        raise DatasetError(f"{root} has {len(found)} files *.yaml; expected {LAYOUT}")
    return (named or found)[0]


def _read_yaml(root):
    """What data.yaml says, as far as its form is the usual one: text, lists and one level of lines below a key."""
    path, content, key = _yaml(root), {}, None
    for number, raw in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", raw).rstrip()
        if not line.strip() or line.strip() == "---":
            continue
        inner, item = line[:1].isspace() or line.startswith("-"), line.strip()
        if not inner:
            key, colon, text = (part.strip() for part in item.partition(":"))
            content[key] = _value(text)
            if not colon:
                raise DatasetError(f"{path}: line {number}, {item!r}, is not 'key: value'")
        elif (key is not None and content[key] in ("", None)) or isinstance(content.get(key), list | dict):
            if isinstance(content[key], dict if item.startswith("-") else list):
                raise DatasetError(f"{path}: line {number}, {item!r}, is of another form than those above it")
            _add(content, key, item)
    return content


def _value(text):
    if text.startswith("[") and text.endswith("]"):
        return [_plain(part) for part in text[1:-1].split(",") if part.strip()]
    if text.startswith("{") and text.endswith("}"):
        pairs = [part.partition(":") for part in text[1:-1].split(",") if part.strip()]
        return {_number(name): _plain(value) for name, _, value in pairs}
    return _plain(text)


def _add(content, key, item):
    """One of the lines below a key: an item of a list, or a number and its name."""
    if item.startswith("-"):
        content[key] = [*(content[key] or []), _plain(item[1:])]
    else:
        name, _, text = item.partition(":")
        content[key] = {**(content[key] or {}), _number(name): _plain(text)}


def _number(text):
    return int(text) if re.fullmatch(r"\s*\d+\s*", text) else _plain(text)


def _plain(text):
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
