"""Raw examples on disk: picture files and the masks that label them."""

import copy
import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.datasets import pixels
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MASK_SUFFIX = ".png"
INDEX_MODES = ("P", "L", "1", "I", "I;16", "I;16B")
Entry = tuple[str, pathlib.Path, Any]  # (id, image, mask or what stands in its place)


class Examples(Sequence):
    """The examples of one split; each is read when it is asked for.

    Item: {"id": str, "image": path, "mask": path, "label": uint8 [H, W]}.

    Args:
        entries: (id, image path, mask path) of each example, in order. Instead of a mask's path there may be any value
            that `read_labels` takes and whose text names the labels in an error.
        read_labels: mask path -> integers [H, W], 0…K−1 and 255.
        missing: what officially belongs to the split and is not there, ids or words.
        left_out: sentences on files that are there and belong to no example.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        *,
        read_labels: Callable[[Any], np.ndarray] | None = None,
        missing: Iterable[str] = (),
        left_out: Iterable[str] = (),
    ):
        self.entries = tuple(entries)
        self.read_labels = read_labels or read_mask
        self.missing, self.left_out = tuple(missing), tuple(left_out)

    @classmethod
    def joined(cls, splits: Mapping[str, "Examples"]) -> "Examples":
        """The examples of several splits, each read as those of its split; ids become split/id."""
        entries = [(f"{split}/{name}", *rest) for split, items in splits.items() for name, *rest in items.entries]
        missing = [f"{split}/{name}" for split, items in splits.items() for name in items.missing]
        left_out = [f"{split}: {words}" for split, items in splits.items() for words in items.left_out]
        reads = {split: items.read_labels for split, items in splits.items()}
        return _Joined(entries, read_labels=reads, missing=missing, left_out=left_out)

    def chosen(self, positions: Iterable[int]) -> "Examples":
        """Those at some positions, in that order; what is missing or left out is not known of a part."""
        part = copy.copy(self)
        part.entries, part.missing, part.left_out = tuple(self.entries[i] for i in positions), (), ()
        return part

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, Any]:
        name, image, mask = self.entries[index]
        return {"id": name, "image": image, "mask": mask, "label": self._reader_of(name)(mask)}

    def _reader_of(self, name):
        return self.read_labels


class _Joined(Examples):
    """`Examples` of several splits: `read_labels` is one function for each, by the split that an id begins with."""

    def _reader_of(self, name):
        return self.read_labels[name.partition("/")[0]]


def complete_examples(
    entries: Iterable[Entry],
    what: str,
    *,
    official: Iterable[str] = (),
    read_labels: Callable[[Any], np.ndarray] | None = None,
) -> Examples:
    """`Examples` of those entries whose files are there; the ids of the others, and of `official`, are its `missing`.

    Args:
        entries: (id, image path, mask path or what replaces it).
        what: the split, for error messages.
        official: ids that belong to the split.
        read_labels: mask path -> integers [H, W], 0…K−1 and 255.

    Raises:
        DatasetError: not one entry is complete.
    """
    entries = tuple(entries)
    listing = functools.cache(lambda folder: frozenset(os.listdir(folder)) if os.path.isdir(folder) else frozenset())

    def absent(entry):  # one listing of a folder instead of a question for each file
        paths = [part for part in entry[1:] if isinstance(part, str | os.PathLike)]
        return [path for path in paths if os.path.basename(path) not in listing(os.path.dirname(path))]

    complete = [entry for entry in entries if not absent(entry)]
    if entries and not complete:
        raise DatasetError(
            f"no image of {what} is there with its labels: {absent(entries[0])[0]} is missing, and all others too"
        )
    names = {name for name, *_ in complete}
    expected = dict.fromkeys([*(name for name, *_ in entries), *official])
    return Examples(complete, read_labels=read_labels, missing=[name for name in expected if name not in names])


def check_split_name(name: str, where: str | os.PathLike) -> None:
    """Raises DatasetError for a name of a split that tensorflow-datasets does not take."""
    if not re.fullmatch(r"[\w-]+", name) or name == "all":
        raise DatasetError(f"split name {name!r} of {where}: expected letters, digits, _ and -, and not 'all'")


def find_stems(folder: str | os.PathLike, suffix: str) -> list[str]:
    """The names, without `suffix`, of the files in `folder` that end with it, sorted."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix) and not name.startswith("."))


def shown_size(image: str | os.PathLike) -> tuple[int, int]:
    """(height, width) of a picture, turned as its EXIF orientation says, as annotation tools show it.

    Raises:
        DatasetError: the picture cannot be read.
    """
    try:
        with pixels.opened(image) as picture:
            height, width = pixels.stored_size(picture)
            return (width, height) if pixels.orientation(picture) >= 5 else (height, width)
    except (OSError, pixels.UnknownRangeError) as error:
        raise DatasetError(f"image {image} cannot be read: {in_one_line(error)}") from error


def no_labels(image: str | os.PathLike) -> np.ndarray:
    """Labels for a picture that has none: 255 everywhere, uint8 [H, W].

    Raises:
        DatasetError: the picture cannot be read.
    """
    try:
        with pixels.opened(image) as picture:
            size = pixels.stored_size(picture)
    except (OSError, pixels.UnknownRangeError) as error:
        raise DatasetError(f"image {image} cannot be read: {in_one_line(error)}") from error
    return np.full(size, IGNORE_LABEL, np.uint8)


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """The indices [H, W] that a single-channel PNG stores, of whatever bits; a palette is not looked at.

    uint8, or int32 where the file holds larger values.

    Raises:
        DatasetError: the file cannot be read, is of another format whatever its name, or holds colors.
    """
    try:
        with pixels.opened(path) as mask:
            if mask.format != "PNG":
                raise DatasetError(
                    f"mask {path} holds {mask.format}, whatever its name says; expected PNG, which keeps every value"
                )
            if mask.mode not in INDEX_MODES:
                raise DatasetError(
                    f"mask {path} holds colors (mode {mask.mode}); expected one channel of class indices "
                    f"(palette or grayscale PNG); --colors reads the colors of a folder's masks"
                )
            if getattr(mask, "n_frames", 1) > 1:
                raise DatasetError(f"mask {path} holds {mask.n_frames} pictures; save the one that is meant alone")
            stretched = pixels.GRAY_FACTORS.get(pixels.stored_as(mask), 1) if mask.mode == "L" else 1
            indices = np.asarray(mask) if stretched == 1 else np.asarray(mask) // stretched
    except (OSError, pixels.UnknownRangeError) as error:
        raise DatasetError(f"mask {path} cannot be read: {in_one_line(error)}") from error
    if indices.dtype == np.uint8:
        return indices
    return indices.astype(np.uint8 if indices.max(initial=0) <= 255 and indices.min(initial=0) >= 0 else np.int32)


def find_folder(root: str | os.PathLike, candidates: Sequence[str], expected: str) -> pathlib.Path:
    """The first of `candidates` (paths below `root`, "" for itself) that exists; `expected` says what belongs there.

    Raises:
        DatasetError: none of them exists.
    """
    root = pathlib.Path(root)
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    raise DatasetError(f"{root} has none of the folders {', '.join(filter(None, candidates))}; expected {expected}")


def require_folders(root: str | os.PathLike, folders: Sequence[str], expected: str) -> None:
    """Raises DatasetError if `root` lacks one of `folders`; `expected` says what belongs there."""
    missing = [folder for folder in folders if not (pathlib.Path(root) / folder).is_dir()]
    if missing:
        raise DatasetError(f"{root} has no folder {', '.join(missing)}; expected {expected}")


def require_files(paths: Sequence[pathlib.Path], what: str) -> None:
    """Raises DatasetError if some of the paths are missing, with the first and how many."""
    missing = [path for path in paths if not pathlib.Path(path).is_file()]
    if missing:
        raise DatasetError(f"{len(missing)} of {len(paths)} {what} missing, the first {missing[0]}")


def read_lines(path: str | os.PathLike) -> list[str]:
    """The stripped, non-empty lines of a text file in UTF-8, with a byte order mark or without.

    Raises:
        DatasetError: as `numbered_lines`.
    """
    return [line for _, line in numbered_lines(path)]


def numbered_lines(path: str | os.PathLike) -> list[tuple[int, str]]:
    """(number from 1, text) of each line that `read_lines` gives.

    Raises:
        DatasetError: the file is missing or of another encoding; the message has the line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DatasetError(f"the list {path} is missing")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DatasetError(
            f"the list {path} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}"
        ) from None
    found = []
    for number, line in enumerate(re.split("\r\n|\n|\r", text), start=1):
        line = line.strip()
        wrong = next((letter for letter in line if letter != "\t" and not letter.isprintable()), None)
        if wrong is not None:
            raise DatasetError(
                f"the list {path} is not plain text in UTF-8: line {number} has the character U+{ord(wrong):04X}"
            )
        if line:
            found.append((number, line))
    return found


def paired_examples(
    root: str | os.PathLike,
    split: str,
    *,
    read_labels: Callable[[Any], np.ndarray] | None = None,
    reading: Reading = AS_IT_IS,
    complete: bool = True,
) -> Examples:
    """`Examples` of `root/images/<split>` with the masks of the same stem in `root/masks/<split>`.

    Folders inside a split are kept, linked ones too; the id is the path below it, without extension and without what
    `reading` says that pictures or masks have around it. What is hidden (its name begins with a dot, as `._x.jpg` and
    `.ipynb_checkpoints`) is not looked at. Every other file is an example's or is in `left_out`: `unpaired_files` are.

    Args:
        root: the raw folder.
        split: a folder of `root/images`, or "train" where there is none, only pictures.
        read_labels: mask path -> integers [H, W]; `read_mask` unless given.
        reading: prefixes and suffixes of the names.
        complete: whether an image without a mask is an error; else its id is in `missing`.

    Raises:
        DatasetError: no such split, two images or masks of one id, or an image without a mask.
    """
    root = pathlib.Path(root)
    require_folders(root, ("images", "masks"), "images/<split>/… and masks/<split>/…")
    images_folder, masks_folder = (root / kind / ("" if is_one_split(root) else split) for kind in ("images", "masks"))
    if split not in paired_splits(root):
        found = ", ".join(paired_splits(root)) or "none"
        raise DatasetError(f"{root / 'images'} has no split {split!r} (found: {found})")
    images = _Named.find(images_folder, IMAGE_SUFFIXES, "image", reading.image_prefix, reading.image_suffix)
    masks = _Named.find(masks_folder, (MASK_SUFFIX,), "mask", reading.mask_prefix, reading.mask_suffix)
    alone = [masks.files[name] for name in masks.files if name not in images.files]
    missing = [name for name in images.files if name not in masks.files]
    if complete and missing:
        raise DatasetError(_about_missing(missing, images, masks, alone, masks_folder))
    left_out = _left_out(images.others, "file", "that is no picture", "that are no pictures")
    left_out += _left_out(masks.others, "file", "that is no PNG", "that are no PNGs")
    left_out += images.other_names() + masks.other_names() + _left_out(alone, "mask", "without an image")
    entries = [(name, file, masks.files[name]) for name, file in images.files.items() if name in masks.files]
    return Examples(entries, read_labels=read_labels, missing=missing, left_out=left_out)


@dataclasses.dataclass(frozen=True)
class _Named:
    """The files of a folder: by id, of other names than prefix and suffix tell, and of other extensions."""

    files: dict[str, pathlib.Path]
    unnamed: list[pathlib.Path]
    others: list[pathlib.Path]
    flags: str

    @classmethod
    def find(cls, folder, extensions, what, prefix, suffix):
        flags = [f"--{what}_{place}={text}" for place, text in (("prefix", prefix), ("suffix", suffix)) if text]
        found = cls({}, [], [], " ".join(flags))
        for path in find_files(folder):
            stem = path.stem
            if path.suffix.lower() not in extensions:
                found.others.append(path)
            elif not (stem.startswith(prefix) and stem.endswith(suffix) and len(stem) > len(prefix + suffix)):
                found.unnamed.append(path)
            else:
                stem = stem[len(prefix) : len(stem) - len(suffix)]
                name = path.relative_to(folder).with_name(stem).as_posix()
                if name in found.files:
                    raise DatasetError(
                        f"two {what}s are called {name} in {folder}: {found.files[name].name}, {path.name}"
                    )
                found.files[name] = path
        return found

    def other_names(self):
        return _left_out(self.unnamed, "file", f"whose name is not as {self.flags} says")


def _about_missing(missing, images, masks, alone, folder):
    """What is said of images without masks, with the masks that may be theirs."""
    words = f"{len(missing)} of {len(images.files)} masks of {folder} are missing, the first "
    words += f"{folder / missing[0]}{MASK_SUFFIX}"
    strangers = alone + masks.unnamed
    others = [path for path in masks.others if path.suffix.lower() in IMAGE_SUFFIXES]
    if others:
        return f"{words}; {len(others)} pictures there are no PNGs (the first {others[0].name}): save masks as PNG"
    if not strangers:
        return f"{words}; --splits names the splits that have masks" if not masks.files else words
    if _names(missing) & _names(name for name in masks.files if name not in images.files):
        advice = "masks lie in the same folders as the images, and upper and lower case count; move or rename them"
    else:
        advice = "names that differ are paired by --mask_suffix, --mask_prefix, --image_suffix and --image_prefix"
    return f"{words}; {len(strangers)} masks there belong to no image (the first {strangers[0].name}): {advice}"


def _names(ids):
    """The last parts of ids, in lower case."""
    return {name.rpartition("/")[2].lower() for name in ids}


def unpaired_files(root: str | os.PathLike, splits: Iterable[str]) -> tuple[str, ...]:
    """What `left_out` says of the files in `root/images` and `root/masks` that lie in none of the splits' folders."""
    if is_one_split(root):
        return ()
    found, splits = [], set(splits)
    for kind in ("images", "masks"):
        folder = pathlib.Path(root) / kind
        outside = [path for path in find_files(folder) if path.relative_to(folder).parts[0] not in splits]
        found += _left_out(outside, "file", "outside the folders of the splits")
    return tuple(found)


def find_files(folder: str | os.PathLike) -> list[pathlib.Path]:
    """All files below a folder, sorted; linked folders are followed, and hidden names are left out.

    Raises:
        OSError: a folder cannot be read.
    """
    return sorted(_files_below(pathlib.Path(folder), frozenset()))


def _files_below(folder, above):
    here = os.path.realpath(folder)
    if here in above or not folder.is_dir():  # a link to a folder that it lies in
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_below(path, above | {here})
        else:
            yield path


def _left_out(paths, what, why, why_of_several=None):
    """A sentence on files that are not converted, in a tuple; empty where there are none."""
    if not paths:
        return ()
    found = f"1 {what} {why}" if len(paths) == 1 else f"{len(paths)} {what}s {why_of_several or why}"
    return (f"{found} (the first {paths[0]})",)


def paired_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The folders of `root/images`, the split called train first; only that where there are pictures and no folder."""
    if is_one_split(root):
        return ("train",)
    return tuple(sorted(find_folders(pathlib.Path(root) / "images"), key=lambda split: (split != "train", split)))


def is_one_split(root: str | os.PathLike) -> bool:
    """Whether `root/images` has pictures and no folders of splits."""
    folder = pathlib.Path(root) / "images"
    return not find_folders(folder) and any(path.suffix.lower() in IMAGE_SUFFIXES for path in find_files(folder))


def find_folders(root: str | os.PathLike) -> tuple[str, ...]:
    """Names of the folders in `root` that are not hidden, sorted; none where it does not exist."""
    root = pathlib.Path(root)
    found = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(path.name for path in found if path.is_dir() and not path.name.startswith(".")))
