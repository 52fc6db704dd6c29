"""A data set of some pictures of converted ones: their records are copied, and no photograph is encoded again."""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.access import RecordTable, damage_named
from deeplab_ksac.datasets.band_pictures import BandSums
from deeplab_ksac.datasets.info import (
    IGNORE_LABEL,
    ConvertedInfo,
    DatasetError,
    DatasetInfo,
    dataset_dir,
    load_info,
)
from deeplab_ksac.datasets.metadata import write_metadata
from deeplab_ksac.datasets.pipeline import filenames
from deeplab_ksac.datasets.raw import IMAGE_SUFFIXES, check_split_name
from deeplab_ksac.datasets.raw_folder import checked_name
from deeplab_ksac.datasets.records import Progress, check_only_converted, put_together, reserved, write_splits
from deeplab_ksac.datasets.shards import plan_shards, write_shard
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.overwriting import check_inputs_stay


@dataclasses.dataclass(frozen=True)
class Selected:
    """Some records of a split.

    Attributes:
        source: "name/split" of a converted data set.
        numbers: of the records, by their place in stored order from 0, in the order in which they are copied.
        labels: whether their labels are copied; else every pixel is ignored, as where pictures have no labels.
    """

    source: str
    numbers: Sequence[int]
    labels: bool = True


def select_records(
    name: str,
    data_dir: str | os.PathLike,
    splits: Mapping[str, Sequence[Selected]],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ConvertedInfo:
    """Makes the data set `data_dir/<name>/1.0.0` of records of others, with all that conversion writes beside them.

        few = [Selected("animals/train_aug", range(25)), Selected("animals/train_aug", range(25, 500), labels=False)]
        select_records("few", "data", {"train": few, "val": [Selected("animals/val", range(300))]})

    A record is copied as it is; where its labels are not, all but its label map. As `write_records` does, it writes to
    a hidden sibling folder that takes its final name when it is complete; what an interrupted call has left there is
    removed by the next one.

    Args:
        name: of the new data set.
        data_dir: where converted data sets live, those that are read too.
        splits: what each split of the new data set is made of, one after the other.
        overwrite: whether an existing data set of this name may be replaced.
        progress: called as `progress(split, done, total)` after each record.

    Returns:
        The `ConvertedInfo` that `datasets.info.load_info` reads back.

    Raises:
        ValueError: a source that is not written "name/split", or numbers that are no whole ones.
        DatasetError: no such source, or a damaged one; sources of different classes, colors or bands; a number that the
            source does not have; a split without pictures; an existing data set, or one that is being written.
        FileExistsError: the new data set would take the place of one that is read.
    """
    target = dataset_dir(checked_name(name), data_dir)
    for split, parts in splits.items():
        check_split_name(split, name)
        if not sum(len(part.numbers) for part in parts):
            raise DatasetError(f"split {split} of {name} has no pictures")
    sources = tuple(dict.fromkeys(part.source for parts in splits.values() for part in parts))
    if not sources:
        raise DatasetError(f"{name} has no splits")
    table = RecordTable(sources, data_dir)
    check_inputs_stay([dataset_dir(Split.parse(source).dataset, data_dir) for source in sources], [target])
    records = {split: _records(parts, sources, table.sizes) for split, parts in splits.items()}
    info = _common_info(name, sources, data_dir)
    with reserved(target, overwrite=overwrite) as exists:
        if exists:
            check_only_converted(target)
        with put_together(target) as (temporary, working):
            options = {"info": info, "shards": None, "rotation": "", "working": working}
            plans = {split: plan_shards(items, split, temporary, **options) for split, items in records.items()}
            copy = functools.partial(_copy_shard, table=table, sources=sources, data_dir=data_dir)
            # one process: a fork cannot run TensorFlow's operations, and copying waits for the disk
            written = write_splits(plans, records, copy, processes=1, progress=progress)
            return write_metadata(info, written, temporary)


def find_pictures(source: str, data_dir: str | os.PathLike, names: Sequence[str]) -> list[int]:
    """The numbers of a split's records of pictures with these file names, in stored order.

    Args:
        source: "name/split" of a converted data set.
        data_dir: where converted data sets live.
        names: as the records have them, with or without the suffix of a picture.

    Raises:
        ValueError: a source that is not written "name/split".
        DatasetError: no such source, or a damaged one; names that no record has.
    """
    table = RecordTable((source,), data_dir)
    with damage_named((source,), data_dir):
        stored = filenames(table, range(*table.sizes))
    whole, plain = collections.defaultdict(list), collections.defaultdict(list)
    for number, name in enumerate(stored):
        whole[name].append(number)
        plain[_without_suffix(name)].append(number)
    found = {name: whole.get(name) or plain.get(_without_suffix(name), []) for name in names}
    unknown = [name for name, numbers in found.items() if not numbers]
    if unknown:
        raise DatasetError(
            f"{len(unknown)} of {len(found)} names are of no picture of {source}, the first {unknown[0]!r} "
            f"(its pictures are called as {stored[0]!r})"
        )
    return sorted({number for numbers in found.values() for number in numbers})


def _without_suffix(name):
    path = pathlib.PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name


def _records(parts, sources, sizes):
    """[(number in the table of all sources, whether its labels are copied)] of a split."""
    first = dict(zip(sources, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    size_of = dict(zip(sources, sizes, strict=True))
    found = []
    for part in parts:
        numbers, size = np.asarray(part.numbers), size_of[part.source]
        if numbers.size and (numbers.ndim != 1 or numbers.dtype.kind not in "iu"):
            raise ValueError(f"numbers of records of {part.source} must be whole numbers, not {numbers.dtype}")
        beyond = [number for number in numbers.tolist() if not 0 <= number < size]
        if beyond:
            raise DatasetError(f"{part.source} has the records 0 … {size - 1}, and none with the number {beyond[0]}")
        found += [(first[part.source] + number, part.labels) for number in numbers.tolist()]
    return found


def _common_info(name, sources, data_dir):
    """What the new data set has of all its sources."""
    infos = {source: load_info(Split.parse(source).dataset, data_dir) for source in sources}
    (first, common), *others = infos.items()
    for other, info in others:
        if info.colors != common.colors:
            raise DatasetError(f"{first} and {other} have different colors of classes; they cannot be mixed")
    told = {
        field: getattr(common, field) if len({getattr(info, field) for info in infos.values()}) == 1 else ""
        for field in ("description", "source")
    }
    return DatasetInfo(name, common.class_names, common.colors, bands=common.bands, **told)


def _copy_shard(shard, records, tick, *, table, sources, data_dir):
    """Copies the records of a shard; its `WrittenShard`."""
    sums = BandSums.of(table.bands)
    chosen = records[shard.first : shard.stop]
    copied = _copied(chosen, table, sums, sources, data_dir)
    return write_shard(shard, copied, tick, sums=sums)


def _copied(records, table, sums, sources, data_dir):
    """Yields (serialized example, pixel counts [256]) of each record."""
    numbers = np.array([number for number, _ in records], np.int64)

    @tf.autograph.experimental.do_not_convert
    def measure(_, serialized):
        parsed = encoding.of_one_size(encoding.parse_example(serialized), table.bands)
        labels = encoding.of_classes(encoding.decode_labels(parsed), table.num_classes, parsed["filename"])
        counts = tf.math.bincount(tf.cast(labels, tf.int32), minlength=256, maxlength=256, dtype=tf.int64)
        return serialized, counts, *([] if sums is None else [encoding.decode_bands(parsed, table.bands)])

    stored = table.read(tf.data.Dataset.from_tensor_slices(numbers).enumerate())
    stored = stored.map(measure, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    try:
        with damage_named(sources, data_dir):
            for (_, labels), (serialized, counts, *values) in zip(records, stored.as_numpy_iterator(), strict=True):
                if sums is not None:
                    sums.add(*values)
                yield (serialized, counts) if labels else _unlabeled(serialized, counts)
    except tf.errors.InvalidArgumentError as error:  # of a record that is not what conversion writes
        raise DatasetError(in_one_line(error)) from error


def _unlabeled(serialized, counts):
    """(serialized example, pixel counts [256]) without labels."""
    ignored = np.zeros_like(counts)
    ignored[IGNORE_LABEL] = counts.sum()
    return encoding.without_labels(serialized), ignored
