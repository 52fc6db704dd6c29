"""Annotation files and the pictures they are of: what the readers of the tools' formats share."""

import collections
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.arguments import LONGEST_SIDE, check_whole_numbers
from deeplab_ksac.datasets.class_list import CLASSES_FILE, read_class_list
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.outlines import Classes, Color, read_labels
from deeplab_ksac.datasets.raw import IMAGE_SUFFIXES, Entry, Examples, complete_examples, find_files
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.whole_files import read_whole

TRAIN, VAL = "train", "val"
USUAL_SPLITS = {  # what tools call them, in lower case; the first two where a tool knows only one
    **dict.fromkeys(("", "default", "train"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation"), VAL),
    "test": "test",
}


def read_json(path: pathlib.Path, what: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DatasetError: the file cannot be read as that; the message says `what` was expected.
    """
    try:
        content = json.loads(read_whole(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as {what}: {in_one_line(error)}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} cannot be read as {what}: it holds no object")
    return content


def find_classes(
    root: str | os.PathLike,
    found: Iterable[str],
    reading: Reading,
    where: str | os.PathLike,
    *,
    colors: Mapping[str, Color] | None = None,
    ignored: Iterable[str] = (),
) -> Classes:
    """The classes that `root/classes.txt` gives, or else those found in the annotations, in their order.

    Raises:
        DatasetError: as `Classes.numbered`.
    """
    path = pathlib.Path(root) / CLASSES_FILE
    if path.is_file():
        names, own = read_class_list(path)
        return Classes.numbered(names, reading, path, colors=dict(zip(names, own, strict=True)), ignored=ignored)
    return Classes.numbered(found, reading, where, colors=colors, ignored=ignored)


def info_of(info: DatasetInfo, classes: Classes) -> DatasetInfo:
    """The `DatasetInfo` of a source with the classes of a raw folder."""
    return DatasetInfo(name=info.name, class_names=classes.names, colors=classes.colors, description=info.description)


def split_name(name: str) -> str:
    """The name of a split by the tool's word for it: CVAT's Train is train, Roboflow's valid is val."""
    return USUAL_SPLITS.get(name.lower(), name)


def drawn_examples(
    entries: Sequence[Entry],
    what: str,
    *,
    left_out: Iterable[str] = (),
    read: Callable[[Any], np.ndarray] = read_labels,
) -> Examples:
    """`complete_examples` of pictures and their drawings, or what else `read` takes, by id.

    Raises:
        DatasetError: two pictures of one id, or not one picture is there.
    """
    twice = [name for name, count in collections.Counter(name for name, *_ in entries).items() if count > 1]
    if twice:
        raise DatasetError(f"{what} has {len(twice)} ids of more than one picture, the first {twice[0]}")
    found = complete_examples(entries, what, read_labels=read)
    found.left_out += tuple(left_out)
    return found


def checked_size(height: int, width: int) -> tuple[int, int]:
    """The size of a picture that an annotation file states.

    Raises:
        ValueError: no whole numbers of pixels that a picture can have.
    """
    check_whole_numbers(1, LONGEST_SIDE, height=height, width=width)
    return height, width


def id_of(name: str) -> str:
    """The id of a picture by its path in an annotation file: without extension, with / between folders.

    Raises:
        ValueError: the path names no file.
    """
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    if not path.name:
        raise ValueError(f"{name!r} is no name of a picture")
    return path.with_suffix("").as_posix()


def pictures_without_annotations(folder: pathlib.Path, annotated: Iterable[pathlib.Path]) -> tuple[str, ...]:
    """A sentence on the pictures below a folder that no annotation is of; none where there are none."""
    known = {os.path.abspath(path) for path in annotated}
    others = [
        path
        for path in find_files(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and os.path.abspath(path) not in known
    ]
    if not others:
        return ()
    return (f"{len(others)} picture{'s' if len(others) > 1 else ''} without annotations (the first {others[0]})",)
