"""One TFRecord file of a split: planned, written, and known again after an interruption."""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import pathlib
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.band_pictures import BandSums
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.stored import shard_name
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.storage import Place, is_remote
from deeplab_ksac.storage.copies import remove_folder, upload
from deeplab_ksac.whole_files import write_whole

EXAMPLES_PER_SHARD = 64
MAX_SHARDS = 256
RECORDS = ".shards"  # folder with what is known of the finished shards, next to them


@dataclasses.dataclass(frozen=True)
class Shard:
    """A run of consecutive examples and the file they are written to.

    Attributes:
        path: the file where it is written, on this machine.
        first: number of the first example in its split.
        stop: number behind the last one.
        fingerprint: of everything its content depends on; "" if that is not known.
        folder: where it goes, which is the folder of `path` but for an object store.
    """

    path: pathlib.Path
    first: int
    stop: int
    fingerprint: str
    folder: Place

    @property
    def place(self) -> Place:
        """The file where it goes."""
        return self.folder / self.path.name

    @property
    def record_path(self) -> Place:
        """The file that says that this one is finished, and what it holds."""
        return self.folder / RECORDS / f"{self.path.name}.json"


@dataclasses.dataclass(frozen=True)
class WrittenShard:
    """What was counted while a shard was written: bytes of each example, bytes of the file, pixels by value 0…255.

    Of pictures of other bands than RGB also `BandSums.as_tuples`.
    """

    lengths: tuple[int, ...]
    file_size: int
    label_counts: tuple[int, ...]
    band_sums: tuple[tuple[int, int, int], ...] = ()

    @property
    def num_examples(self) -> int:
        """How many examples it has."""
        return len(self.lengths)

    @property
    def num_bytes(self) -> int:
        """The bytes of all examples."""
        return sum(self.lengths)


@contextlib.contextmanager
def working_folder(folder: Place) -> Iterator[Place]:
    """The folder of this machine in which shards are written: itself, or one that is there for so long."""
    if not is_remote(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="convert_") as here:
        yield pathlib.Path(here)


def plan_shards(
    items: Sequence[Any],
    split: str,
    folder: Place,
    *,
    info: DatasetInfo,
    shards: int | None,
    rotation: str,
    working: Place,
) -> list[Shard]:
    """The `Shard`s of a split's examples, in order: as many as asked for, or one per 64 examples, at most 256.

    More files than cores, so that all are busy to the end and little is lost when a conversion is killed.

    Args:
        items: the examples.
        split: their split.
        folder: where the files go.
        info: the `DatasetInfo` of the labels.
        shards: how many; None for the usual number.
        rotation: see `datasets.pictures.read_picture`.
        working: where they are written before that, as `working_folder`.
    """
    shards = min(len(items), shards or min(MAX_SHARDS, -(-len(items) // EXAMPLES_PER_SHARD)))
    bounds = [len(items) * i // shards for i in range(shards + 1)]
    settings = json.dumps([_code(), dataclasses.asdict(info), split, rotation], sort_keys=True)
    return [
        Shard(
            working / shard_name(info.name, split, index, shards),
            bounds[index],
            bounds[index + 1],
            _fingerprint(settings, items, bounds[index], bounds[index + 1]),
            folder,
        )
        for index in range(shards)
    ]


def write_shard(
    shard: Shard,
    encoded: Iterable[tuple[bytes, np.ndarray]],
    tick: Callable[[], None],
    *,
    sums: BandSums | None = None,
) -> WrittenShard:
    """Writes a shard's examples under a temporary name, and its `WrittenShard` once the file is complete and on disk.

    One that goes to an object store is only written on this machine: `upload_shard` does the rest, since this may be a
    forked process, in which TensorFlow's file systems do not work.

    Args:
        shard: which one.
        encoded: its examples, (serialized, pixel counts [256] of the labels 0…255).
        tick: called after each example.
        sums: what pictures of other bands than RGB are added to while they are encoded.
    """
    partial = shard.path.with_name(f".{shard.path.name}.partial")
    counts, lengths = np.zeros(256, np.int64), []
    try:
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for serialized, values in encoded:
                writer.write(serialized)
                counts += values
                lengths.append(len(serialized))
                tick()
    except tf.errors.OpError as error:  # as of a full disk: "<file>; No space left on device"
        raise OSError(errno.EIO, in_one_line(error).rpartition("; ")[2]) from error
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    written = WrittenShard(
        tuple(lengths),
        partial.stat().st_size,
        tuple(counts.tolist()),
        () if sums is None else sums.as_tuples(),
    )
    partial.replace(shard.path)
    if not is_remote(shard.folder):
        _record(shard, written)
    return written


def upload_shard(shard: Shard, written: WrittenShard) -> None:
    """Puts a written shard into the object store that it goes to, if it does; the file on this machine is removed."""
    if is_remote(shard.folder):
        upload(shard.path, shard.place)
        shard.path.unlink()
        _record(shard, written)


def _record(shard, written):
    if not shard.fingerprint:  # nothing could tell that it is the same again
        return
    shard.record_path.parent.mkdir(exist_ok=True)
    write_whole(shard.record_path, json.dumps({"fingerprint": shard.fingerprint, **dataclasses.asdict(written)}) + "\n")


def find_written(shard: Shard) -> WrittenShard | None:
    """The `WrittenShard` of an earlier, interrupted conversion of the very same examples; None if there is none."""
    try:
        fields = json.loads(shard.record_path.read_text(encoding="utf-8"))
        same = fields.pop("fingerprint") == shard.fingerprint != ""
        several = {name: tuple(fields[name]) for name in ("lengths", "label_counts")}
        written = WrittenShard(**{**fields, **several, "band_sums": tuple(map(tuple, fields["band_sums"]))})
        return written if same and shard.place.stat().st_size == written.file_size else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remove_others(folder: Place, kept: Sequence[Shard]) -> None:
    """Removes all that is in the folder of an interrupted conversion, but for the `kept` shards and their records."""
    names = {path for shard in kept for path in (shard.place, shard.record_path)}
    for path in [*folder.iterdir(), *(folder / RECORDS).glob("*")]:
        if path.is_file() and path not in names:
            path.unlink()


def clear(folder: Place) -> None:
    """Removes the folder of a conversion that failed, unless it holds finished shards for the next try."""
    if not any((folder / RECORDS).glob("*.json")):
        remove_folder(folder)


def forget_records(folder: Place) -> None:
    """Removes what is known of the single shards, once all are there and in place."""
    remove_folder(folder / RECORDS)


def _fingerprint(settings, items, first, stop):
    """A hash of the settings and of the examples `first`…`stop`: names, sizes and times of files, the rest by value.

    How their labels are read is a part of it, by name or, as the table of a `--label_map`, by value. Where one of these
    is not known, it is "".
    """
    entries, read_labels = getattr(items, "entries", None), getattr(items, "read_labels", None)
    if entries is None or read_labels is None:
        return ""
    digest = hashlib.sha256(settings.encode())
    try:
        digest.update(pickle.dumps(read_labels, protocol=5))
        for entry in entries[first:stop]:
            for part in entry:
                digest.update(b"\0" + _content(part))
    except (pickle.PicklingError, AttributeError, TypeError):  # what cannot be written down cannot be compared
        return ""
    return digest.hexdigest()


def _content(part):
    if isinstance(part, os.PathLike):
        return _state(part)
    if isinstance(part, str):
        return part.encode("utf-8", "surrogateescape")  # a file's name may be no text
    return b"\0".join([pickle.dumps(part, protocol=5), *map(_state, getattr(part, "files", ()))])


def _state(path):
    """A file as far as it tells whether it was changed."""
    status = os.stat(path)
    return os.fsencode(path) + f" {status.st_size} {status.st_mtime_ns}".encode()


@functools.cache
def _code():
    """A hash of this package's modules and tables: shards of another version are not mixed with this one's."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".csv"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
