"""A raw folder as one value: the source that reads it, how, and where."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeplab_ksac import datasets
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.band_pictures import find_bands
from deeplab_ksac.datasets.hold_out import TRAIN, VAL, HeldOut, hold_out
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.kept_classes import KeptClasses, with_classes
from deeplab_ksac.datasets.raw import Examples, check_split_name
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.storage import is_remote


class RawFolder:
    """The raw folder `root` of a data set, read by its source.

    Args:
        name: a key of `datasets.CATALOG`, "tfds:path" or "hf:path" for a path below the folder, or a file of one's own.
        root: the folder.
        reading: what its files mean, where the source can read them in more than one way.
        held_out: which pictures become a split val that the folder does not have.
        dataset_name: the name of the converted data set, where it is not the source's own.
        classes: names of the classes that are kept; pixels of all others are ignored. None keeps all.

    Attributes:
        channels: as `Reading.channels`.

    Raises:
        DatasetError: an unknown name, no such folder, options that the source does not heed, pictures held out of
            official splits, or other classes without a name for the data set.
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike,
        *,
        reading: Reading = AS_IT_IS,
        held_out: HeldOut | None = None,
        dataset_name: str | None = None,
        classes: Sequence[str] | None = None,
    ):
        self.source, self.held_out = datasets.source(name), held_out
        _, below = datasets.parse_name(name)
        if is_remote(root):
            raise DatasetError(f"{root} is read by several processes and must be on this machine; copy it here first")
        self.root = pathlib.Path(root) / below
        heeded = getattr(self.source, "READS", ())
        reading.require_only(heeded, name)
        if held_out is not None and self.source.INFO.splits:
            official = ", ".join(self.source.INFO.splits)
            raise DatasetError(f"--val_share is for data without official splits; {name} has {official}")
        if not self.root.is_dir():
            raise DatasetError(f"the raw folder {self.root} does not exist")
        self._reading = {"reading": reading} if heeded else {}
        self.channels = reading.channels
        if classes is not None and dataset_name is None:
            raise DatasetError(f"{name} with other classes is another data set: give it a name of its own (--name)")
        self._name = dataset_name or (datasets.default_name(name) if below else None)
        self._classes = classes

    def info(self) -> DatasetInfo:
        """The `DatasetInfo` of the folder under its final name, with the classes that are kept."""
        whole = self._whole_info()
        return whole if self._classes is None else with_classes(whole, self._classes)

    def _whole_info(self):
        has_own = hasattr(self.source, "read_info")
        info = self.source.read_info(self.root, **self._reading) if has_own else self.source.INFO
        for name in info.class_names:
            if not name.strip() or not name.isprintable():
                raise DatasetError(f"{self.root} has a class called {name!r}: expected a name in plain text")
        return dataclasses.replace(info, name=checked_name(self._name or info.name))

    def examples(self, splits: Sequence[str] | None = None) -> dict[str, Examples | KeptClasses]:
        """{split: its examples} of the splits given, or of those that the folder holds.

        Raises:
            DatasetError: a split that is not there, or whose name tensorflow-datasets does not take.
        """
        wanted = splits if splits and self.held_out is None else self.find_splits()
        if splits and self.held_out is not None and TRAIN in wanted:  # else val is held out of all of them
            wanted = [split for split in wanted if split in (TRAIN, VAL, *splits)]
        for split in wanted:
            check_split_name(split, self.root)
        found = {split: self.source.examples(self.root, split, **self._reading) for split in wanted}
        if self.held_out is not None:
            found = hold_out(found, self.held_out)
            unknown = [split for split in splits or () if split not in found]
            if unknown:
                raise DatasetError(f"{self.root} has no split {unknown[0]!r} (found: {', '.join(found)})")
            if splits and TRAIN not in splits and VAL in splits:  # which is all that tells of what both are made of
                found[VAL].missing, found[VAL].left_out = found[TRAIN].missing, found[TRAIN].left_out
            found = {split: found[split] for split in splits or found}
        if self._classes is None:
            return found
        whole = self._whole_info()
        kept = with_classes(whole, self._classes)
        return {split: KeptClasses(items, whole, kept) for split, items in found.items()}

    def bands(self, examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> Bands:
        """What all pictures of the examples by split have to have: the channels asked for, the first one's depth.

        Raises:
            DatasetError: the first picture cannot be read, or has another number of bands.
        """
        first = next((items for items in examples.values() if len(items)), None)
        if self.channels == RGB.number or first is None:
            return RGB
        return find_bands(first[0]["image"], self.channels)

    def find_splits(self) -> tuple[str, ...]:
        """The splits that the folder holds, before any pictures are held out."""
        return tuple(self.source.find_splits(self.root, **self._reading))

    def pairs(self, split: str) -> Examples:
        """The examples of a split that are complete, where the others are an error in `examples`."""
        of_source = getattr(self.source, "pairs", self.source.examples)
        return of_source(self.root, split, **self._reading)

    @property
    def values_of(self) -> Callable[[Any], dict[Any, int]] | None:
        """mask -> {value in it: its pixels}; None where the labels are in no masks of their own."""
        return getattr(self.source, "values_of", None)

    def left_out(self) -> tuple[str, ...]:
        """Sentences on files that belong to no split."""
        return self.source.left_out(self.root, **self._reading) if hasattr(self.source, "left_out") else ()


def checked_name(name: str) -> str:
    """The name of a data set; DatasetError if it is none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise DatasetError(f"data set name {name!r}: expected lower-case letters, digits and _, a letter first")
    return name
