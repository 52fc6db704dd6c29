"""Records of converted data sets by number: any of them is read alone, from its place in its file."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.info import DatasetError, require_bands
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.datasets.stored import HEADER, StoredSplit, record_offsets
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.storage.copies import for_tensorflow

READ_AT_ONCE = 4  # runs of records
RUN = 8  # records read one after the other: to hand over each by itself costs as much as to read it


class RecordTable:
    """The records of one or more "name/split", numbered in stored order, source after source.

    Attributes:
        sizes: number of records of each source.
        num_classes: K of the sources.
        bands: of their pictures.

    Raises:
        ValueError: sources that are no tuple of "name/split".
        DatasetError: a source is missing or damaged, or the sources' classes or bands differ.
    """

    def __init__(self, sources: Sequence[str], data_dir: str | os.PathLike):
        if isinstance(sources, str) or not sources:
            raise ValueError(f"sources must be a tuple of 'name/split', not {sources!r}")
        self.files, self.sizes, classes, bands = [], [], {}, {}
        file_numbers, offsets = [], []
        for split in map(Split.parse, sources):
            stored = StoredSplit.find(split, data_dir)
            found, size = stored.offsets(), stored.num_examples
            if sum(map(len, found)) != size:
                raise DatasetError(
                    f"{split} has {sum(map(len, found))} records in its files and {size} in its metadata; "
                    "convert it again"
                )
            for file, some in zip(for_tensorflow(stored.files), found, strict=True):
                file_numbers.append(np.full(len(some), len(self.files), np.int64))
                offsets.append(some)
                self.files.append(file)
            self.sizes.append(size)
            bands[str(split)] = stored.info.bands
            classes.setdefault(stored.info.class_names, str(split))
        if len(classes) > 1:
            raise DatasetError(f"{' and '.join(classes.values())} have different classes; they cannot be mixed")
        self.num_classes = len(next(iter(classes)))
        (first, self.bands), *others = bands.items()
        for other, theirs in others:
            require_bands(other, theirs, self.bands, first)
        self._file_numbers, self._offsets = np.concatenate(file_numbers), np.concatenate(offsets)

    def read(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        """A dataset of (position, record number) -> (position, serialized example), in the same order."""
        files, file_numbers, offsets = map(tf.constant, (self.files, self._file_numbers, self._offsets))

        @tf.autograph.experimental.do_not_convert
        def read_one(position, number):
            record = record_at(files[file_numbers[number]], offsets[number])
            return tf.data.Dataset.zip((tf.data.Dataset.from_tensors(position), record))

        @tf.autograph.experimental.do_not_convert
        def read_run(positions, run):
            return tf.data.Dataset.from_tensor_slices((positions, run)).flat_map(read_one)

        return numbers.batch(RUN).interleave(
            read_run,
            cycle_length=READ_AT_ONCE,
            block_length=RUN,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )


def evenly_spread(count: int, size: int) -> np.ndarray:
    """`count` of the numbers 0 … size − 1, evenly spread: ⌊i · size / count⌋ for i = 0 … count − 1, int64 [count]."""
    return np.arange(count, dtype=np.int64) * size // count


def record_at(file: tf.Tensor, offset: tf.Tensor) -> tf.data.Dataset:
    """The dataset of the one serialized example at a byte of a TFRecord file; its checksums are verified.

    A dataset and not a plain tensor: operations that read files from within a map are taken for stateful, and would
    make the whole pipeline serial where operations have to be deterministic.
    """
    from_there = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file], compression_type="", buffer_size=tf.constant(0, tf.int64), byte_offsets=[offset]
    )
    return tf.data.experimental.from_variant(from_there, tf.TensorSpec([], tf.string)).take(1)


def damaged_file(sources: Sequence[str], data_dir: str | os.PathLike, error: tf.errors.OpError) -> str:
    """ "<file>: " of the one whose record TensorFlow calls corrupted or cut, of "name/split"; "" if none is.

    TensorFlow says only at which byte its length or its content begins. The files that have a record there are read
    again at that place.
    """
    said = re.search(r"(?:corrupted|truncated) record at (\d+)", str(error))
    if said is None:
        return ""
    offset = int(said[1])
    for split in map(Split.parse, sources):
        stored = StoredSplit.find(split, data_dir)
        known = stored.indexed()
        for number, (file, opened) in enumerate(zip(stored.files, for_tensorflow(stored.files), strict=True)):
            try:
                offsets = record_offsets(file) if known is None else known[number]
                for start in {offset, offset - HEADER.size - 4}.intersection(offsets.tolist()):
                    list(tf.data.Dataset.from_tensors((opened, tf.constant(start, tf.int64))).flat_map(record_at))
            except (DatasetError, tf.errors.DataLossError):
                return f"{file}: "
    return ""


@contextlib.contextmanager
def damage_named(sources: Sequence[str], data_dir: str | os.PathLike) -> Iterator[None]:
    """Inside, a damaged record of one of "name/split" is a `DatasetError` that names its file."""
    try:
        yield
    except tf.errors.DataLossError as error:
        place = damaged_file(sources, data_dir, error) or f"{' or '.join(sources)}: "
        raise DatasetError(f"{place}{in_one_line(error)}; convert the data set again") from error
