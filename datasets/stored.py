"""A converted split as it is stored: its files, and where in them each record begins.

That is written down at conversion, in `<name>-<split>.index.json` beside the files: else every start of a training
would read the length of every record, one after the other. A line a file:

    {"file": "voc2012-train.tfrecord-00000-of-00023", "size": 9123456, "lengths": [81920, 77123, …]}

"size" is the file's, in bytes, "lengths" those of its records without the 16 bytes that TFRecord puts around each, and
"sha256" at the end is the checksum of all of it. An index counts while its checksum is right and every file has its
size; else, and where there is none, the files are looked through, and the index is written if the folder lets it.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import logging
import os
import stat
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from deeplab_ksac.datasets.info import ConvertedInfo, DatasetError, dataset_dir, did_you_mean, load_info
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.json_files import is_list_of, is_whole, read_object
from deeplab_ksac.storage import Place, is_remote, place
from deeplab_ksac.whole_files import write_whole

LOG = logging.getLogger(__name__)
HEADER = struct.Struct("<Q")  # length of a TFRecord's data; 4 bytes of checksum follow, the data, and 4 more
AROUND = HEADER.size + 8  # bytes of a record beside its data
AT_ONCE = 16  # requests to an object store


def shard_name(name: str, split: str, index: int, shards: int) -> str:
    """The file name that tensorflow-datasets expects."""
    return f"{name}-{split}.tfrecord-{index:05d}-of-{shards:05d}"


@dataclasses.dataclass(frozen=True)
class StoredSplit:
    """The files of a split.

    Attributes:
        split: which one.
        info: of its data set.
        files: in order.
        sizes: of each, in bytes.
    """

    split: Split
    info: ConvertedInfo
    files: tuple[Place, ...]
    sizes: tuple[int, ...]

    @classmethod
    def find(cls, split: Split, data_dir: str | os.PathLike) -> "StoredSplit":
        """The files of a split of a converted data set.

        Raises:
            DatasetError: no such data set, no such split, or a missing file.
        """
        info = load_info(split.dataset, data_dir)
        if split.name not in info.num_examples:
            found = ", ".join(info.num_examples)
            raise DatasetError(
                f"data set {split.dataset} has no split {split.name!r} (found: {found})"
                f"{did_you_mean(split.name, info.num_examples)}"
            )
        folder, shards = dataset_dir(split.dataset, data_dir), info.num_shards[split.name]
        files = [folder / shard_name(info.name, split.name, index, shards) for index in range(shards)]
        sizes = _side_by_side(_size, files)
        missing = [file for file, size in zip(files, sizes, strict=True) if size is None]
        if missing:
            raise DatasetError(
                f"{len(missing)} of {shards} files are missing, the first {missing[0]}; convert it again"
            )
        return cls(split, info, tuple(files), tuple(sizes))

    @property
    def num_examples(self) -> int:
        """The number of its records, by the data set's metadata."""
        return self.info.num_examples[self.split.name]

    @property
    def index_path(self) -> Place:
        """The file that says where its records begin."""
        return index_path(self.files[0].parent, self.info.name, self.split.name)

    def offsets(self) -> list[np.ndarray]:
        """Where each record begins, in bytes of its file: int64 [records] for each of the files.

        Raises:
            DatasetError: a file ends inside a record.
        """
        known = self.indexed()
        if known is not None:
            return known
        found = _side_by_side(record_offsets, self.files)
        lengths = {
            file.name: np.diff(some, append=size) - AROUND
            for file, some, size in zip(self.files, found, self.sizes, strict=True)
        }
        try:
            write_index(self.index_path, lengths)
        except OSError as error:
            LOG.info("%s; every start looks through the records again", error)
        return found

    def indexed(self) -> list[np.ndarray] | None:
        """As `offsets`, by the index alone; None where that does not count."""
        try:
            state = self.index_path.stat()
            read = _index if state.st_mtime_ns else _index.__wrapped__  # a store that does not say when it was written
            shards = read(self.index_path, state.st_size, state.st_mtime_ns)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            LOG.warning("%s does not count: %s; the records are looked through", self.index_path, error)
            return None
        expected = {file.name: size for file, size in zip(self.files, self.sizes, strict=True)}
        if {name: size for name, (size, _) in shards.items()} != expected:
            LOG.warning("%s is of other files than those beside it; the records are looked through", self.index_path)
            return None
        return [shards[file.name][1] for file in self.files]


def index_path(folder: Place, name: str, split: str) -> Place:
    """The index of a split of a data set in its folder."""
    return folder / f"{name}-{split}.index.json"


def write_index(path: str | os.PathLike, lengths: Mapping[str, Sequence[int]]) -> None:
    """Writes the index of a split.

    Args:
        path: of the index.
        lengths: of the records of each file, by its name.

    Raises:
        OSError: it cannot be written.
    """
    shards = [{"file": name, "size": sum(each) + AROUND * len(each), "lengths": each} for name, each in _plain(lengths)]
    lines = ",\n".join(map(json.dumps, shards))
    write_whole(path, f'{{"format": 1, "shards": [\n{lines}\n], "sha256": "{_checksum(shards)}"}}\n')


def _plain(lengths):
    return [(name, [int(length) for length in each]) for name, each in lengths.items()]


def _checksum(shards):
    return hashlib.sha256(json.dumps(shards).encode()).hexdigest()


@functools.lru_cache(maxsize=64)
def _index(path, size, _):
    """{name of a file: (its bytes, offsets of its records)} of an index; ValueError where it is damaged."""
    content = read_object(path)
    shards = content.get("shards")
    if content.get("format") != 1 or not is_list_of(shards, _is_shard):
        raise ValueError("it is no index of this version")
    if content.get("sha256") != _checksum(shards):
        raise ValueError("it does not have its checksum")
    return {shard["file"]: (shard["size"], _starts(shard["lengths"])) for shard in shards}


def _is_shard(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("file"), str)
        and is_list_of(value.get("lengths"), is_whole)
        and value.get("size") == sum(value["lengths"]) + AROUND * len(value["lengths"])
    )


def _starts(lengths):
    ends = np.fromiter(itertools.accumulate(length + AROUND for length in lengths), np.int64, len(lengths))
    return ends - np.array(lengths, np.int64) - AROUND


def record_offsets(file: str | os.PathLike) -> np.ndarray:
    """Where each record of a TFRecord file begins, in bytes: int64 [records].

    Only the records' lengths are read, and only once in a process while the file stays as it is.

    Raises:
        DatasetError: the file ends inside a record.
    """
    path = place(file)
    status = path.stat()
    read = _record_offsets if status.st_mtime_ns else _record_offsets.__wrapped__
    return read(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _record_offsets(path, size, _):
    offsets, at = [], 0
    with path.open("rb") if is_remote(path) else path.open("rb", buffering=0) as stream:
        while at < size:
            stream.seek(at)
            header = stream.read(HEADER.size)
            offsets.append(at)
            at += HEADER.unpack(header.ljust(HEADER.size, b"\0"))[0] + AROUND
    if at != size:
        raise DatasetError(f"{path} ends inside its record {len(offsets) - 1}; convert the data set again")
    return np.array(offsets, np.int64)


def forget() -> None:
    """Forgets what was read of files and indexes, so that a measurement begins as a new process would."""
    _index.cache_clear()
    _record_offsets.cache_clear()


def _size(path):
    """The bytes of a file; None where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if is_remote(path) or stat.S_ISREG(status.st_mode) else None


def _side_by_side(work, paths):
    """[work(path) for each], several at a time in an object store, where each waits for an answer."""
    if not any(map(is_remote, paths)):
        return list(map(work, paths))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(work, paths))
