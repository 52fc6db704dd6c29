"""Raw folders -> sharded TFRecords that tensorflow-datasets and a plain TFRecord reader both read."""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import datasets
from datasets import encoding
from datasets.info import IGNORE_LABEL, VERSION, ConvertedInfo, DatasetError, dataset_dir, load_info, save_info

__all__ = ["DatasetError", "read_records", "shard_files", "write_records"]

EXAMPLES_PER_SHARD = 64
MAX_SHARDS = 64


def write_records(
    name,
    root,
    data_dir,
    *,
    splits=None,
    overwrite=False,
    allow_other_counts=False,
    shards=None,
    dataset_name=None,
    progress=None,
):
    """Converts the raw folder of data set `name` to `data_dir/<name>/1.0.0/<name>-<split>.tfrecord-0000i-of-0000n`.

    Everything is written to a hidden sibling folder that takes its final name when it is complete, so that nothing
    half-written can be taken for finished.

    Args:
        name: a key of `datasets.CATALOG`.
        root: the raw folder.
        data_dir: where converted data sets live.
        splits: names of the splits to convert; None converts those present in the raw folder.
        overwrite: whether an existing data set of this name may be replaced.
        allow_other_counts: whether a split may differ from its official size.
        shards: files per split; None makes one per 64 examples, at most 64.
        dataset_name: the name of the converted data set, where it is not `name`.
        progress: called as `progress(split, done, total)` after each example.

    Returns:
        The `ConvertedInfo` that `datasets.info.load_info` reads back.

    Raises:
        DatasetError: bad input, an unofficial split size, or an existing data set; the message is one line.
    """
    info, find_examples = _open_raw(name, root, dataset_name)
    target = dataset_dir(info.name, data_dir)
    _restore_previous(target)
    if target.exists() and not overwrite:
        raise DatasetError(f"{target} exists; ask to overwrite it, or choose another name or data_dir")
    examples = find_examples(splits)
    _check_counts(info, root, examples, allow_other_counts)

    temporary = target.with_name(f".{VERSION}.incomplete")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        written = {
            split: _write_split(items, split, info, temporary, shards=shards, progress=progress)
            for split, items in examples.items()
        }
        converted = _describe(info, written, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _move_into_place(temporary, target)
    return converted


def read_records(name, split, data_dir):
    """The serialized examples of a split in stored order, and their number: (Dataset of scalar strings, int)."""
    files, count = shard_files(name, split, data_dir)
    return tf.data.TFRecordDataset(files), count


def shard_files(name, split, data_dir):
    """The TFRecord files of a split in order, and its number of examples.

    Raises:
        DatasetError: no such data set, no such split, or a missing file.
    """
    info = load_info(name, data_dir)
    if split not in info.num_examples:
        raise DatasetError(f"data set {name} has no split {split!r} (found: {', '.join(info.num_examples)})")
    folder, shards = dataset_dir(name, data_dir), info.num_shards[split]
    files = [str(folder / _shard_name(info.name, split, i, shards)) for i in range(shards)]
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        raise DatasetError(f"{len(missing)} of {shards} files are missing, the first {missing[0]}; convert it again")
    return files, info.num_examples[split]


@dataclasses.dataclass
class _WrittenSplit:
    """What was counted while a split was written."""

    shard_lengths: list
    num_bytes: int
    label_counts: np.ndarray


def _open_raw(name, root, dataset_name):
    """The `DatasetInfo` of a raw folder under its final name, and a function: splits or None -> {split: examples}."""
    root = pathlib.Path(root)
    if not root.is_dir():
        raise DatasetError(f"the raw folder {root} does not exist")
    source = datasets.source(name)
    info = source.read_info(root) if hasattr(source, "read_info") else source.INFO
    info = dataclasses.replace(info, name=_checked_name(dataset_name or info.name))
    return info, lambda splits: {split: source.examples(root, split) for split in splits or source.find_splits(root)}


def _checked_name(name):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise DatasetError(f"data set name {name!r}: expected lower-case letters, digits and _, a letter first")
    return name


def _check_counts(info, root, examples, allow_other_counts):
    if not examples:
        raise DatasetError(f"{root} holds no split of {info.name} (official: {', '.join(info.splits) or 'any'})")
    for split, items in examples.items():
        official = info.splits.get(split)
        if not len(items):
            raise DatasetError(f"split {split} of {root} is empty: 0 images")
        if official not in (None, len(items)) and not allow_other_counts:
            raise DatasetError(
                f"split {split} of {root} has {len(items)} images, officially {official}; "
                f"allow other counts (--allow_other_counts) to convert it all the same"
            )


def _shard_name(name, split, index, shards):
    return f"{name}-{split}.tfrecord-{index:05d}-of-{shards:05d}"


def _write_split(items, split, info, folder, *, shards, progress):
    """Writes the shards of one split: each holds a run of consecutive examples."""
    total = len(items)
    shards = min(total, shards or min(MAX_SHARDS, -(-total // EXAMPLES_PER_SHARD)))
    bounds = [total * i // shards for i in range(shards + 1)]
    label_counts, num_bytes, done = np.zeros(256, np.int64), 0, 0
    encoded = _encode_in_order(items, info)
    for index in range(shards):
        path = folder / _shard_name(info.name, split, index, shards)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(bounds[index], bounds[index + 1]):
                serialized, counts = next(encoded)
                writer.write(serialized)
                label_counts += counts
                num_bytes += len(serialized)
                done += 1
                if progress is not None:
                    progress(split, done, total)
    return _WrittenSplit([b - a for a, b in itertools.pairwise(bounds)], num_bytes, label_counts)


def _encode_in_order(items, info):
    """Yields `encode_example` of each item in order; a few threads work ahead (decoders release Python's lock)."""
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        pending = collections.deque()
        try:
            for index in range(len(items)):
                pending.append(pool.submit(lambda i: encoding.encode_example(items[i], info), index))
                if len(pending) > 4 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _describe(info, written, folder):
    """Writes the metadata beside the shards: ours, and that of tensorflow-datasets."""
    num_classes = info.num_classes
    converted = ConvertedInfo(
        **{field.name: getattr(info, field.name) for field in dataclasses.fields(info)},
        num_examples={split: sum(w.shard_lengths) for split, w in written.items()},
        pixel_counts={split: tuple(w.label_counts[:num_classes].tolist()) for split, w in written.items()},
        ignored_pixels={split: int(w.label_counts[IGNORE_LABEL]) for split, w in written.items()},
        num_shards={split: len(w.shard_lengths) for split, w in written.items()},
        num_bytes={split: w.num_bytes for split, w in written.items()},
    )
    save_info(converted, folder)
    template = tfds.core.ShardedFileTemplate(data_dir=folder, dataset_name=info.name, filetype_suffix="tfrecord")
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=_tfds_features(info),
        split_infos=[
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=w.shard_lengths,
                num_bytes=w.num_bytes,
                filename_template=template.replace(split=split),
            )
            for split, w in written.items()
        ],
        description=info.description,
        homepage=info.source,
        supervised_keys=(encoding.IMAGE, encoding.LABELS),
        check_data=False,
    )
    return converted


def _tfds_features(info):
    return tfds.features.FeaturesDict(
        {
            encoding.IMAGE: tfds.features.Image(shape=(None, None, 3)),
            encoding.IMAGE_FORMAT: tfds.features.Text(),
            encoding.HEIGHT: tfds.features.Scalar(tf.int64),
            encoding.WIDTH: tfds.features.Scalar(tf.int64),
            encoding.FILENAME: tfds.features.Text(),
            encoding.LABELS: tfds.features.LabeledImage(labels=list(info.class_names), shape=(None, None, 1)),
            encoding.LABELS_FORMAT: tfds.features.Text(),
        }
    )


def _move_into_place(temporary, target):
    """Gives the complete folder its final name; what stood there is removed after."""
    previous = _previous(target)
    if target.exists():
        target.rename(previous)
    temporary.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _restore_previous(target):
    """Undoes a replacement that was killed between its two renames, or ends one that was killed after them."""
    previous = _previous(target)
    if previous.exists() and not target.exists():
        previous.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(target):
    return target.with_name(f".{VERSION}.previous")
