"""Raw folders -> sharded TFRecords that tensorflow-datasets and a plain TFRecord reader both read."""

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.datasets.band_pictures import BandSums
from deeplab_ksac.datasets.encoding import encode_example
from deeplab_ksac.datasets.hold_out import HeldOut
from deeplab_ksac.datasets.info import INFO_FILE, ConvertedInfo, DatasetError, dataset_dir
from deeplab_ksac.datasets.metadata import OF_TENSORFLOW_DATASETS, write_metadata
from deeplab_ksac.datasets.pictures import check_rotation
from deeplab_ksac.datasets.processes import number_of_cores, run_tasks
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.datasets.shards import (
    Shard,
    WrittenShard,
    clear,
    find_written,
    forget_records,
    plan_shards,
    remove_others,
    upload_shard,
    working_folder,
    write_shard,
)
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.datasets.stored import StoredSplit
from deeplab_ksac.datasets.whole_folders import (
    check_replaceable,
    is_there,
    move_into_place,
    only_one,
    restore_previous,
    unfinished,
)
from deeplab_ksac.overwriting import check_inputs_stay
from deeplab_ksac.storage import Place
from deeplab_ksac.storage.copies import for_tensorflow
from deeplab_ksac.whole_files import check_writable, unwritable

__all__ = ["DatasetError", "HeldOut", "Reading", "read_records", "shard_files", "write_records"]

MISSING_SHOWN = 3
Progress = Callable[[str, int, int], None]  # progress(split, done, total)


def write_records(
    name: str,
    root: str | os.PathLike,
    data_dir: str | os.PathLike,
    *,
    splits: Sequence[str] | None = None,
    overwrite: bool = False,
    allow_other_counts: bool = False,
    rotation: str = "refuse",
    shards: int | None = None,
    processes: int | None = None,
    dataset_name: str | None = None,
    classes: Sequence[str] | None = None,
    reading: Reading = AS_IT_IS,
    held_out: HeldOut | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> ConvertedInfo:
    """Converts the raw folder of data set `name` to `data_dir/<name>/1.0.0/<name>-<split>.tfrecord-0000i-of-0000n`.

    Everything is written to a hidden sibling folder that takes its final name when it is complete, so that nothing
    half-written can be taken for finished; in an object store `segmentation.json` is written last. What an interrupted
    conversion has finished there is kept, shard by shard, if the examples of the shard are the same again; the result
    is the same to the byte.

    Args:
        name: a key of `datasets.CATALOG`, "tfds:path" or "hf:path" for a path below `root`, or a file of one's own that
            reads it, "my_source.py".
        root: the raw folder, on this machine: pictures are read by forked processes.
        data_dir: where converted data sets live, also in an object store.
        splits: names of the splits to convert; None converts those present in the raw folder.
        overwrite: whether an existing data set of this name may be replaced.
        allow_other_counts: whether a split may differ from its official size, or lack files that its lists name.
        rotation: see `datasets.pictures.read_picture`.
        shards: files per split; None makes one per 64 examples, at most 256.
        processes: how many work at once; None takes all cores.
        dataset_name: the name of the converted data set, where it is not `name`.
        classes: names of the classes that are kept, for the labels 0, 1, …; pixels of all others are ignored, and the
            data set needs a name of its own. None keeps all.
        reading: what the raw files mean where there is more than one way, as in
            `Reading(label_map={255: 1, 0: 0}, mask_suffix="_mask")`, or pictures of other bands than RGB:
            `Reading(channels=4)`.
        held_out: which pictures become a split val that the raw folder does not have, as in `HeldOut(0.2, seed=0)`.
        progress: called as `progress(split, done, total)` after each example, and first with what was done before.
        tell: called with a line on files that are there and are not converted, before anything is written.

    Returns:
        The `ConvertedInfo` that `datasets.info.load_info` reads back.

    Raises:
        ValueError: `rotation` is none of those.
        DatasetError: bad input, an unofficial split size, an existing data set, or one that is being written; the
            message is one line.
    """
    check_rotation(rotation)
    raw = RawFolder(name, root, reading=reading, held_out=held_out, dataset_name=dataset_name, classes=classes)
    root, info = raw.root, raw.info()
    target = dataset_dir(info.name, data_dir)
    check_inputs_stay([root], [target])
    with reserved(target, overwrite=overwrite) as exists:
        examples = raw.examples(splits)
        if exists:
            check_inputs_stay(_folders_read(examples), [target])
            check_only_converted(target)
        for words in _left_out(raw, examples):
            tell(f"left out: {words}")
        _check_counts(info, root, examples, allow_other_counts)
        info = dataclasses.replace(info, bands=raw.bands(examples))
        with put_together(target) as (temporary, working):
            options = {"info": info, "shards": shards, "rotation": rotation, "working": working}
            plans = {split: plan_shards(items, split, temporary, **options) for split, items in examples.items()}
            write = functools.partial(_convert_shard, info=info, rotation=rotation)
            written = write_splits(plans, examples, write, processes=processes, progress=progress)
            converted = write_metadata(info, written, temporary)
    return converted


@contextlib.contextmanager
def reserved(target: Place, *, overwrite: bool) -> Iterator[bool]:
    """Inside, no other process writes the data set whose folder is `target`; whether there is one to be replaced.

    Args:
        target: the folder.
        overwrite: whether an existing data set may be replaced.

    Raises:
        DatasetError: there is one and it may not, or another process is writing it.
        OSError: nothing can be written there.
    """
    check_writable(target.parent)
    with only_one(target):
        restore_previous(target)
        exists = is_there(target, INFO_FILE)
        if exists and not overwrite:
            raise DatasetError(f"{target} exists; allow overwriting (--overwrite), or choose another name or data_dir")
        if exists:
            check_replaceable(target, DatasetError)
        yield exists


@contextlib.contextmanager
def put_together(target: Place) -> Iterator[tuple[Place, Place]]:
    """The hidden folder in which a data set is put together; it takes the place of `target` if nothing is raised.

    Yields:
        (the folder, that of this machine in which shards are written first: `shards.working_folder`).
    """
    temporary = unfinished(target)
    try:
        with working_folder(temporary) as working:
            yield temporary, working
    except BaseException as error:
        clear(temporary)
        if isinstance(error, OSError) and error.strerror and error.filename is None:  # as of a full disk
            raise unwritable(target, error) from error
        raise
    move_into_place(temporary, target)
    forget_records(target)


def read_records(name: str, split: str, data_dir: str | os.PathLike) -> tuple[tf.data.Dataset, int]:
    """The serialized examples of a split in stored order (a dataset of scalar strings), and their number."""
    files, count = shard_files(name, split, data_dir)
    return tf.data.TFRecordDataset(for_tensorflow(files)), count


def shard_files(name: str, split: str, data_dir: str | os.PathLike) -> tuple[list[str], int]:
    """The TFRecord files of a split in order, and its number of examples.

    Raises:
        DatasetError: no such data set, no such split, or a missing file.
    """
    stored = StoredSplit.find(Split(name, split), data_dir)
    return list(map(str, stored.files)), stored.num_examples


def _folders_read(examples):
    """The folders, without links, of the files that the examples are read from."""
    entries = (entry for items in examples.values() for entry in getattr(items, "entries", ()))
    paths = (part for entry in entries for part in entry if isinstance(part, os.PathLike))
    return {os.path.dirname(os.path.realpath(path)) for path in paths}


def check_only_converted(target: Place) -> None:
    """Raises DatasetError for a folder that holds anything else than what a conversion has written there."""
    names = (r"\..*", re.escape(INFO_FILE), OF_TENSORFLOW_DATASETS, r".+\.tfrecord-\d+-of-\d+", r".+\.index\.json")
    known = re.compile("|".join(names), re.DOTALL)
    others = [name for name in sorted(os.listdir(target)) if not known.fullmatch(name)]
    if others:
        raise DatasetError(
            f"{target} holds {others[0]}, which no conversion wrote; move it away, or choose another name or data_dir"
        )


def _left_out(raw, examples):
    """Sentences on files of the raw folder that belong to no example."""
    found = [f"{split}: {words}" for split, items in examples.items() for words in getattr(items, "left_out", ())]
    return [*found, *raw.left_out()]


def _check_counts(info, root, examples, allow_other_counts):
    if not examples:
        raise DatasetError(f"{root} holds no split of {info.name} (official: {', '.join(info.splits) or 'any'})")
    for split, items in examples.items():
        if not len(items):
            raise DatasetError(f"split {split} of {root} is empty: 0 images; --splits names those to convert")
    problems = [
        f"split {split} of {root} has {problem}"
        for split, items in examples.items()
        if (problem := _count_problem(items, info.splits.get(split)))
    ]
    if problems and not allow_other_counts:
        raise DatasetError(f"{'; '.join(problems)}; allow other counts (--allow_other_counts) to convert it anyway")


def _count_problem(items, official):
    """What is wrong with the number of examples, as text; "" if nothing is."""
    missing = [str(name) for name in getattr(items, "missing", ())]
    if official in (None, len(items)) and not missing:
        return ""
    words = f"{len(items)} images" + (f", officially {official}" if official is not None else "")
    if missing:
        more = f" and {len(missing) - MISSING_SHOWN} more" if len(missing) > MISSING_SHOWN else ""
        words += f", missing: {', '.join(missing[:MISSING_SHOWN])}{more}"
    return words


def _convert_shard(shard, items, tick, *, info, rotation):
    """Encodes and writes a shard's examples of its split; its `WrittenShard`."""
    sums = BandSums.of(info.bands)
    numbers = range(shard.first, shard.stop)
    encoded = (encode_example(items[number], info, rotation=rotation, sums=sums) for number in numbers)
    return write_shard(shard, encoded, tick, sums=sums)


def write_splits(
    plans: Mapping[str, Sequence[Shard]],
    examples: Mapping[str, Sequence[Any]],
    write: Callable[[Shard, Sequence[Any], Callable[[], None]], WrittenShard],
    *,
    processes: int | None,
    progress: Progress | None,
) -> dict[str, list[WrittenShard]]:
    """Writes the shards of all splits, but for those that an interrupted conversion has finished.

    Args:
        plans: the shards of each split.
        examples: the examples of each split.
        write: called as `write(shard, examples of its split, tick)`, in several processes if there may be.
        processes: how many work at once; None takes all cores.
        progress: as of `write_records`.

    Returns:
        {split: the `WrittenShard` of each of its shards}.
    """
    written = {shard: find_written(shard) for plan in plans.values() for shard in plan}
    temporary = next(iter(written)).folder
    remove_others(temporary, [shard for shard, result in written.items() if result])
    for split, plan in plans.items():
        items, todo = examples[split], [shard for shard in plan if not written[shard]]
        count = _Count(split, len(items), len(items) - sum(shard.stop - shard.first for shard in todo), progress)
        results = run_tasks(
            lambda shard, tick, items=items: write(shard, items, tick),
            todo,
            processes=processes or number_of_cores(),
            tick=count,
        )
        for shard, result in results:
            upload_shard(shard, result)
            written[shard] = result
    return {split: [written[shard] for shard in plan] for split, plan in plans.items()}


class _Count:
    """Counts the examples of a split for a `progress` callback."""

    def __init__(self, split, total, done, progress):
        self.split, self.total, self.done, self.progress = split, total, done, progress
        if done and progress is not None:
            progress(split, done, total)

    def __call__(self):
        self.done += 1
        if self.progress is not None:
            self.progress(self.split, self.done, self.total)
