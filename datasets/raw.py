"""Raw examples on disk: picture files and the masks that label them."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.errors import in_one_line

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
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
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        *,
        read_labels: Callable[[Any], np.ndarray] | None = None,
        missing: Iterable[str] = (),
    ):
        self.entries = tuple(entries)
        self.read_labels = read_labels or read_mask
        self.missing = tuple(missing)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, Any]:
        name, image, mask = self.entries[index]
        return {"id": name, "image": image, "mask": mask, "label": self.read_labels(mask)}


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


def find_stems(folder: str | os.PathLike, suffix: str) -> list[str]:
    """The names, without `suffix`, of the files in `folder` that end with it, sorted."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix) and not name.startswith("."))


def no_labels(image: str | os.PathLike) -> np.ndarray:
    """Labels for a picture that has none: 255 everywhere, uint8 [H, W].

    Raises:
        DatasetError: the picture cannot be read.
    """
    try:
        with Image.open(image) as picture:
            width, height = picture.size
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
        raise DatasetError(f"image {image} cannot be read: {in_one_line(error)}") from error
    return np.full((height, width), IGNORE_LABEL, np.uint8)


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """The indices [H, W] that a single-channel image file stores; a palette is not looked at.

    uint8, or int32 where the file holds larger values.

    Raises:
        DatasetError: the file cannot be read, or holds colors instead of indices.
    """
    try:
        with Image.open(path) as mask:
            if mask.mode not in INDEX_MODES:
                raise DatasetError(
                    f"mask {path} holds colors (mode {mask.mode}); expected one channel of class indices "
                    f"(palette or grayscale PNG)"
                )
            indices = np.asarray(mask)
    except DatasetError:
        raise
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
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
        DatasetError: the file is missing, or of another encoding.
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
    return [line.strip() for line in text.splitlines() if line.strip()]


def paired_examples(root: str | os.PathLike, split: str) -> Examples:
    """`Examples` of `root/images/<split>` with the masks of the same stem in `root/masks/<split>`.

    Folders inside a split are kept; the id is the path below it, without suffix. What is hidden (its name begins with a
    dot, as `._x.jpg` and `.ipynb_checkpoints`) is left out.

    Raises:
        DatasetError: no such split, no image in it, two images of one id, or an image without a mask.
    """
    root = pathlib.Path(root)
    require_folders(root, ("images", "masks"), "images/<split>/… and masks/<split>/…")
    folder = root / "images" / split
    if not folder.is_dir():
        found = ", ".join(find_folders(root / "images")) or "none"
        raise DatasetError(f"{root / 'images'} has no split {split!r} (found: {found})")
    images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    images = [path for path in images if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    entries = {}
    for image in images:
        name = image.relative_to(folder).with_suffix("").as_posix()
        if name in entries:
            raise DatasetError(f"two images are called {name} in {folder}: {entries[name][1].name}, {image.name}")
        entries[name] = (name, image, root / "masks" / split / f"{name}.png")
    require_files([mask for _, _, mask in entries.values()], f"masks of {root / 'masks' / split} are")
    return Examples(entries.values())


def paired_splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The folders of `root/images`; the split called train comes first."""
    return tuple(sorted(find_folders(pathlib.Path(root) / "images"), key=lambda split: (split != "train", split)))


def find_folders(root: str | os.PathLike) -> tuple[str, ...]:
    """Names of the folders in `root` that are not hidden, sorted; none where it does not exist."""
    root = pathlib.Path(root)
    found = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(path.name for path in found if path.is_dir() and not path.name.startswith(".")))
