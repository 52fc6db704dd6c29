"""One TFRecord file of a split: planned, written, and known again after an interruption."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.band_pictures import BandSums
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.whole_files import write_whole

EXAMPLES_PER_SHARD = 64
MAX_SHARDS = 256
RECORDS = ".shards"  # folder with what is known of the finished shards, next to them


@dataclasses.dataclass(frozen=True)
class Shard:
    """A run of consecutive examples and the file they are written to.

    Attributes:
        path: the file.
        first: number of the first example in its split.
        stop: number behind the last one.
        fingerprint: of everything its content depends on; "" if that is not known.
    """

    path: pathlib.Path
    first: int
    stop: int
    fingerprint: str

    @property
    def record_path(self) -> pathlib.Path:
        """The file that says that this one is finished, and what it holds."""
        return self.path.parent / RECORDS / f"{self.path.name}.json"


@dataclasses.dataclass(frozen=True)
class WrittenShard:
    """What was counted while a shard was written: examples, bytes of them, bytes of the file, pixels by value 0…255.

    Of pictures of other bands than RGB also `BandSums.as_tuples`.
    """

    num_examples: int
    num_bytes: int
    file_size: int
    label_counts: tuple[int, ...]
    band_sums: tuple[tuple[int, int, int], ...] = ()


def shard_name(name: str, split: str, index: int, shards: int) -> str:
    """The file name that tensorflow-datasets expects."""
    return f"{name}-{split}.tfrecord-{index:05d}-of-{shards:05d}"


def plan_shards(
    items: Sequence[Mapping[str, Any]],
    split: str,
    folder: pathlib.Path,
    *,
    info: DatasetInfo,
    shards: int | None,
    rotation: str,
) -> list[Shard]:
    """The `Shard`s of a split's examples, in order: as many as asked for, or one per 64 examples, at most 256.

    More files than cores, so that all are busy to the end and little is lost when a conversion is killed.
    """
    shards = min(len(items), shards or min(MAX_SHARDS, -(-len(items) // EXAMPLES_PER_SHARD)))
    bounds = [len(items) * i // shards for i in range(shards + 1)]
    settings = json.dumps([_code(), dataclasses.asdict(info), split, rotation], sort_keys=True)
    return [
        Shard(
            folder / shard_name(info.name, split, index, shards),
            bounds[index],
            bounds[index + 1],
            _fingerprint(settings, items, bounds[index], bounds[index + 1]),
        )
        for index in range(shards)
    ]


def write_shard(
    shard: Shard,
    items: Sequence[Mapping[str, Any]],
    tick: Callable[[], None],
    *,
    info: DatasetInfo,
    rotation: str,
) -> WrittenShard:
    """Writes a shard's examples under a temporary name, and its `WrittenShard` once the file is complete and on disk.

    Args:
        shard: which one.
        items: the examples of its split.
        tick: called after each example.
        info: the `DatasetInfo` of the labels.
        rotation: see `datasets.pictures.read_picture`.
    """
    partial = shard.path.with_name(f".{shard.path.name}.partial")
    counts, num_bytes = np.zeros(256, np.int64), 0
    sums = None if info.bands.is_rgb else BandSums(info.bands.number)
    with tf.io.TFRecordWriter(str(partial)) as writer:
        for index in range(shard.first, shard.stop):
            serialized, values = encoding.encode_example(items[index], info, rotation=rotation, sums=sums)
            writer.write(serialized)
            counts += values
            num_bytes += len(serialized)
            tick()
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    written = WrittenShard(
        shard.stop - shard.first,
        num_bytes,
        partial.stat().st_size,
        tuple(counts.tolist()),
        () if sums is None else sums.as_tuples(),
    )
    partial.replace(shard.path)
    shard.record_path.parent.mkdir(exist_ok=True)
    write_whole(shard.record_path, json.dumps({"fingerprint": shard.fingerprint, **dataclasses.asdict(written)}) + "\n")
    return written


def find_written(shard: Shard) -> WrittenShard | None:
    """The `WrittenShard` of an earlier, interrupted conversion of the very same examples; None if there is none."""
    try:
        fields = json.loads(shard.record_path.read_text(encoding="utf-8"))
        same = fields.pop("fingerprint") == shard.fingerprint != ""
        sums = tuple(map(tuple, fields["band_sums"]))
        written = WrittenShard(**{**fields, "label_counts": tuple(fields["label_counts"]), "band_sums": sums})
        return written if same and shard.path.stat().st_size == written.file_size else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remove_others(folder: pathlib.Path, kept: Sequence[Shard]) -> None:
    """Removes all that is in the folder of an interrupted conversion, but for the `kept` shards and their records."""
    names = {path for shard in kept for path in (shard.path, shard.record_path)}
    for path in [*folder.iterdir(), *(folder / RECORDS).glob("*")]:
        if path.is_file() and path not in names:
            path.unlink()


def clear(folder: pathlib.Path) -> None:
    """Removes the folder of a conversion that failed, unless it holds finished shards for the next try."""
    if not any((folder / RECORDS).glob("*.json")):
        shutil.rmtree(folder, ignore_errors=True)


def forget_records(folder: pathlib.Path) -> None:
    """Removes what is known of the single shards, once all are there and in place."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)


def _fingerprint(settings, items, first, stop):
    """A hash of the settings and of the examples `first`…`stop`: names, sizes and times of files, the rest by value.

    How their labels are read is a part of it, by name or, as the table of a `--label_map`, by value.
    """
    entries = getattr(items, "entries", None)
    if entries is None:
        return ""
    digest = hashlib.sha256(settings.encode())
    try:
        digest.update(pickle.dumps(getattr(items, "read_labels", None), protocol=5))
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
