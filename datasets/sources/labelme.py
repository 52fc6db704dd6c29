"""Pictures annotated with Labelme: a JSON file beside each.

<split>/…/a.jpg and a.json       splits are the folders; without folders, all is the split train
labels.txt or classes.txt        the classes in order, if there is one; else the names of all shapes, sorted

Polygons, rectangles, oriented rectangles, circles and masks are drawn in the order in which they were made, so that
later ones cover earlier ones, as in Labelme itself. Lines and points cover nothing and are told. Shapes called
`__ignore__` are 255. Pixels in no shape are background (label 0, `_background_` where there is such a class) or, with
`unlabeled="ignored"`, 255.
"""

import base64
import binascii
import collections
import io
import os
import pathlib

import numpy as np
from PIL import Image

from deeplab_ksac.arguments import LONGEST_SIDE
from deeplab_ksac.datasets import annotations, polygons, run_lengths
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.outlines import (
    Classes,
    Drawing,
    RunLengths,
    Shape,
    polygon_of_box,
    polygon_of_ellipse,
)
from deeplab_ksac.datasets.raw import Examples, find_files, find_folders, read_lines, shown_size
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(name="labelme", class_names=(), colors=(), description="Pictures annotated with Labelme")
READS = ("unlabeled",)

LAYOUT = "a .json file of Labelme beside each picture, in the folder or in a folder for each split"
WHAT = "annotations of Labelme"
LABELS_FILE, IGNORED = "labels.txt", "__ignore__"
WITHOUT_AREA = ("line", "linestrip", "point", "points")


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the classes of `labels.txt`, `classes.txt` or all shapes."""
    return annotations.info_of(INFO, _read_classes(root, reading))


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The folders with annotations; train comes first, and is the only split where there are no folders."""
    return tuple(_find_files(root))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The pictures of a split that have annotations.

    Raises:
        DatasetError: there is no such split, a file cannot be read, or two are of one picture.
    """
    found = _find_files(root)
    if split not in found:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(found)})")
    classes, entries, without_area, files = _read_classes(root, reading), [], {}, {}
    folder = pathlib.Path(root) / ("" if _is_one_split(root) else split)
    for path in found[split]:
        content = _read(path)
        picture = _picture(path, content)
        first = files.setdefault(os.path.abspath(picture), path)
        if first is not path:
            raise DatasetError(f"{first} and {path} annotate the same picture, {picture}; keep one of them")
        name = path.relative_to(folder).with_suffix("").as_posix()
        entries.append((name, picture, _drawing(path, content, classes, without_area)))
    words = [
        f"{len(paths)} shapes of type {kind}, which cover no area (the first in {paths[0]})"
        for kind, paths in without_area.items()
    ]
    words += annotations.pictures_without_annotations(folder, [picture for _, picture, _ in entries])
    return annotations.drawn_examples(entries, f"the split {split} of {root}", left_out=words)


def _find_files(root):
    """{split: its annotation files}; the split called train comes first."""
    root, found = pathlib.Path(root), {}
    if _is_one_split(root):
        return {annotations.TRAIN: _json_below(root)}
    for split in sorted(find_folders(root), key=lambda name: (name != annotations.TRAIN, name)):
        files = _json_below(root / split)
        if files:
            found[split] = files
    if not found:
        raise DatasetError(f"{root} has no annotations; expected {LAYOUT}")
    return found


def _picture(path, content):
    """The picture of a file: where it says, or beside it, if it says where the picture was on another machine."""
    picture = path.parent / content["imagePath"].replace("\\", "/")
    beside = path.parent / picture.name
    return picture if picture.is_file() or not beside.is_file() else beside


def _is_one_split(root):
    found = (path for path in pathlib.Path(root).iterdir() if path.is_file() and not path.name.startswith("."))
    return any(path.suffix.lower() == ".json" for path in found)


def _json_below(folder):
    return [path for path in find_files(folder) if path.suffix.lower() == ".json"]


def _read(path):
    content = annotations.read_json(path, WHAT)
    lacks = [name for name, kind in (("shapes", list), ("imagePath", str)) if not isinstance(content.get(name), kind)]
    if lacks:
        raise DatasetError(f"{path} cannot be read as {WHAT}: it has no {lacks[0]!r}")
    labels = [shape.get("label") if isinstance(shape, dict) else None for shape in content["shapes"]]
    wrong = [label for label in labels if not isinstance(label, str)]
    if wrong:
        raise DatasetError(f"{path} cannot be read as {WHAT}: {len(wrong)} of its shapes have no label")
    return content


def _read_classes(root, reading):
    """The `Classes` of all splits."""
    path = pathlib.Path(root) / LABELS_FILE
    if path.is_file():
        return Classes.numbered(read_lines(path), reading, path, ignored=(IGNORED,))
    files = [file for some in _find_files(root).values() for file in some]
    names = {shape["label"] for file in files for shape in _read(file)["shapes"]}
    return annotations.find_classes(root, sorted(names), reading, root, ignored=(IGNORED,))


def _drawing(path, content, classes, without_area):
    """The `Drawing` of one file; adds it to {type: files} for each shape that covers nothing."""
    classes.require(collections.Counter(shape["label"] for shape in content["shapes"]), path)
    shapes = []
    for number, shape in enumerate(content["shapes"], start=1):
        kind = shape.get("shape_type") or "polygon"
        if kind in WITHOUT_AREA:
            without_area.setdefault(kind, []).append(path)
            continue
        try:
            part = _part(kind, shape)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise DatasetError(
                f"{path}: shape {number} ({shape['label']!r}, {kind}) cannot be read: {in_one_line(error)}"
            ) from error
        shapes.append(Shape(classes.labels[shape["label"]], (part,)))
    size = content.get("imageHeight"), content.get("imageWidth")
    if not all(isinstance(side, int) and 0 < side <= LONGEST_SIDE for side in size):
        size = shown_size(_picture(path, content))  # Labelme does not need them either
    return Drawing(f"in {path}", size, tuple(shapes), classes.unlabeled)


def _part(kind, shape):
    points = polygons.corners_of(shape["points"])
    if kind in ("polygon", "oriented_rectangle"):
        if len(points) < 3:
            raise ValueError(f"it has {len(points)} points")
        return points
    if kind not in ("rectangle", "circle", "mask"):
        raise ValueError("its type is none of polygon, rectangle, oriented_rectangle, circle, mask, line, point")
    if len(points) != 2:
        raise ValueError(f"it has {len(points)} points")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return polygon_of_box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    if kind == "circle":
        radius = float(np.hypot(x1 - x0, y1 - y0))
        return polygon_of_ellipse((x0, y0), (radius, radius))
    return _mask(shape["mask"], top=int(y0), left=int(x0))


def _mask(text, *, top, left):
    """A mask that Labelme stores as a PNG in base64, from the corner of its box on."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            inside = np.asarray(image) > 0
    except (binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"its mask is no PNG in base64: {in_one_line(error)}") from error
    if inside.ndim != 2:
        raise ValueError(f"its mask has {inside.shape[-1]} channels")
    return RunLengths(tuple(run_lengths.encode(inside.ravel())), inside.shape, (top, left))
