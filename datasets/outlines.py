"""Labels that annotation tools store as outlines, and how they become a label map.

One rule draws them all, COCO's (`datasets.polygons.by_columns`), whichever tool wrote them, so that the same outlines
give the same labels. The tools' own pictures of their outlines differ from it, if at all, along the border:

    COCO (pycocotools), CVAT's mask exports     the same rule, the same pixels
    Labelme                                     Pillow's polygon with its outline: half a pixel more all around
    Ultralytics                                 OpenCV's polygon of rounded corners with its outline: the same
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from deeplab_ksac.datasets import polygons, run_lengths
from deeplab_ksac.datasets.class_list import CLASSES_FILE
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.reading import BACKGROUND, Reading
from deeplab_ksac.errors import in_one_line

Color = tuple[int, int, int]
UNLABELED_NAMES = ("background", "_background_", "__background__")
SHOWN = 3


@dataclasses.dataclass(frozen=True)
class RunLengths:
    """A mask as its run lengths, of the whole picture or of a part of it.

    Attributes:
        counts: the lengths or COCO's text, as `datasets.run_lengths.decode` takes them.
        size: (height, width) of the part.
        corner: (top, left) of the part in the picture.
        by_columns: whether the runs go down the columns, as COCO's do, or along the rows.
    """

    counts: tuple[int, ...] | str
    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    by_columns: bool = False


@dataclasses.dataclass(frozen=True)
class Shape:
    """One annotated thing: its label 0…K−1 or 255, and the parts of it, polygons float64 [n, 2] or `RunLengths`."""

    label: int
    parts: tuple[np.ndarray | RunLengths, ...]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What an annotation file says of one picture; its text names the place.

    Attributes:
        place: the file and the picture, for errors: "of a.jpg in instances.json".
        size: (height, width).
        shapes: later ones cover earlier ones, unless `smaller_on_top`.
        unlabeled: the label of the pixels that no shape covers.
        smaller_on_top: where shapes overlap, the one of fewer pixels is on top; those that are ignored are below all.
    """

    place: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]
    unlabeled: int
    smaller_on_top: bool = False

    def __str__(self) -> str:
        return self.place

    def labels(self) -> np.ndarray:
        """The label map: uint8 [H, W].

        Raises:
            DatasetError: run lengths of another size.
        """
        height, width = self.size
        flat = np.full(height * width, self.unlabeled, np.uint8)  # column after column
        try:
            drawn = [(shape.label, _covered(shape, height, width)) for shape in self.shapes]
        except ValueError as error:
            raise DatasetError(f"the annotations {self.place} cannot be drawn: {in_one_line(error)}") from error
        if self.smaller_on_top:
            drawn.sort(key=lambda item: (item[0] != IGNORE_LABEL, -int((item[1][1] - item[1][0]).sum())))
        for label, (first, stop) in drawn:
            polygons.fill(flat, first, stop, np.full(len(first), label, np.uint8))
        return np.ascontiguousarray(flat.reshape(width, height).T)


def read_labels(drawn: Any) -> np.ndarray:
    """The label map of a `Drawing`, or of another value that has `labels()`."""
    return drawn.labels()


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes of an annotated data set.

    Attributes:
        names: in the order of the labels.
        colors: theirs.
        labels: {name in the annotations: label 0…K−1 or 255}.
        unlabeled: what no outline covers: a label, or 255.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    labels: Mapping[str, int]
    unlabeled: int

    @classmethod
    def numbered(
        cls,
        found: Iterable[str],
        reading: Reading,
        where: str | os.PathLike,
        *,
        colors: Mapping[str, Color] | None = None,
        ignored: Iterable[str] = (),
    ) -> "Classes":
        """The classes of these names, in order; what is not labeled comes first, unless it is ignored.

        A class that is called background already is what is not labeled. The colors are the tool's if all are there
        and differ, else PASCAL VOC's.

        Raises:
            DatasetError: a name twice, or a number of classes that a label map cannot hold.
        """
        names, ignored = list(found), tuple(ignored)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(f"{where} has {names.count(twice[0])} classes called {twice[0]!r}; rename one there")
        names = [name for name in names if name not in ignored]
        of_unlabeled = next((name for name in names if name.lower() in UNLABELED_NAMES), None)
        unlabeled = IGNORE_LABEL
        if reading.unlabeled == BACKGROUND:
            first = of_unlabeled or UNLABELED_NAMES[0]
            names, unlabeled = [first, *(name for name in names if name != first)], 0
        elif of_unlabeled is not None:
            names, ignored = [name for name in names if name != of_unlabeled], (*ignored, of_unlabeled)
        if not 1 <= len(names) <= 254:
            raise DatasetError(f"{where} has {len(names)} classes; expected 1 to 254")
        labels = {**{name: label for label, name in enumerate(names)}, **dict.fromkeys(ignored, IGNORE_LABEL)}
        known = {UNLABELED_NAMES[0]: (0, 0, 0), **(colors or {})}
        own = [known.get(name) for name in names]
        fits = colors and None not in own and len(set(own)) == len(own)
        return cls(tuple(names), tuple(own) if fits else voc_palette(len(names)), labels, unlabeled)

    def require(self, counts: Mapping[str, int], where: str | os.PathLike) -> None:
        """Raises DatasetError if there are shapes in a file, {name: how many}, of names that are no classes."""
        unknown = {name: count for name, count in counts.items() if name not in self.labels}
        if unknown:
            shown = ", ".join(f"{name!r} ({count} shapes)" for name, count in sorted(unknown.items())[:SHOWN])
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise DatasetError(
                f"{where} has shapes of classes that are not listed: {shown}{more}; add them to the list of classes "
                f"({CLASSES_FILE}), or leave the list out"
            )


def polygon_of_ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> np.ndarray:
    """An ellipse as a polygon with a corner a pixel: float64 [n, 2]."""
    count = int(np.clip(np.ceil(2 * np.pi * max(*radii, 1)), 16, 4096))
    turn, angle = np.deg2rad(degrees), np.arange(count) * (2 * np.pi / count)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([center[0] + x * cos - y * sin, center[1] + x * sin + y * cos], axis=1)


def polygon_of_box(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> np.ndarray:
    """A rectangle, turned clockwise about its center: float64 [4, 2]."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    if not degrees:
        return corners
    turn, center = np.deg2rad(degrees), corners.mean(axis=0)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (corners - center) @ rotation + center


def _covered(shape, height, width):
    """The runs of a shape, column after column."""
    parts = [
        _of_runs(part, height, width) if isinstance(part, RunLengths) else polygons.by_columns(part, height, width)
        for part in shape.parts
        if isinstance(part, RunLengths) or len(part) >= 3  # a point or a line covers nothing
    ]
    return parts[0] if len(parts) == 1 else run_lengths.union(parts)


def _of_runs(part, height, width):
    rows, columns = part.size
    whole = part.size == (height, width) and part.corner == (0, 0)
    if part.by_columns and not whole:
        raise ValueError(f"run lengths are for {columns}×{rows}, the image is {width}×{height} (width×height)")
    if rows > height or columns > width:
        raise ValueError(f"a mask of {columns}×{rows} is larger than its image, {width}×{height} (width×height)")
    runs = run_lengths.decode(part.counts, rows * columns)
    if part.by_columns:
        return runs
    flat = np.zeros(rows * columns, np.uint8)
    polygons.fill(flat, *runs, np.ones(len(runs[0]), np.uint8))
    mask, (top, left) = np.zeros((height, width), bool), part.corner
    inside = flat.reshape(rows, columns)[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    top, left = max(top, 0), max(left, 0)
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return run_lengths.decode(run_lengths.encode(mask.T.ravel()), height * width)
