"""Features of a frozen backbone, stored: fixed views of every picture of a training set, to be trained on.

A folder beside the converted data sets:

    <data_dir>/<name>/features.json       what they are features of (`Header`)
                      c2.float16 …        a level of the pyramid: [views · records, h, w, C], one view after another
                      labels.uint8        [views · records, H, W]

The arrays are plain, without a header of their own, in the machine's byte order, so that whatever length they have says
how many views are done. They are memory-mapped: of a batch no more is read than it holds.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.order import RunOrder
from deeplab_ksac.datasets.pipeline import record_numbers, shares
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.json_files import DamagedFileError, check_fields, is_list_of, is_text, is_whole, read_object
from deeplab_ksac.whole_files import write_whole

HEADER_FILE = "features.json"
LABELS = "labels"
CACHE_AGAIN = "make them again with `ksac cache-features`"


@dataclasses.dataclass(frozen=True)
class Header:
    """What cached features are features of; all that decides over their values.

    Attributes:
        data: fields of the experiment's `Data` by which the views are cut.
        sources: by "name/split", its numbers of records and of bytes.
        records: of all sources.
        views: of each record.
        seed: of the views.
        backbone: the experiment's part, {"name", "args"}.
        norm: arguments of its normalization.
        output_stride: of the backbone.
        weights: SHA-256 of the backbone's weights.
        weights_from: where they come from, in words.
        levels: by level, [h, w, C] of its features.
        crop_size: [H, W] of the labels.
        batch_size: views that were computed at a time.
    """

    data: Mapping[str, Any]
    sources: Mapping[str, Sequence[int]]
    records: int
    views: int
    seed: int
    backbone: Mapping[str, Any]
    norm: Mapping[str, Any]
    output_stride: int
    weights: str
    weights_from: str
    levels: Mapping[str, Sequence[int]]
    crop_size: Sequence[int]
    batch_size: int

    @property
    def count(self) -> int:
        """Views of all records."""
        return self.views * self.records

    def arrays(self) -> dict[str, tuple[str, np.dtype, tuple[int, ...]]]:
        """{level or "labels": (file name, type of a number, shape of one view)}."""
        half, byte = np.dtype(np.float16), np.dtype(np.uint8)
        levels = {level: (f"{level}.{half}", half, tuple(shape)) for level, shape in self.levels.items()}
        return {**levels, LABELS: (f"{LABELS}.{byte}", byte, tuple(self.crop_size))}

    def view_bytes(self) -> int:
        """What one view takes."""
        return sum(dtype.itemsize * int(np.prod(shape)) for _, dtype, shape in self.arrays().values())

    def write(self, folder: str | os.PathLike) -> None:
        """Writes it into the folder of the features."""
        write_whole(pathlib.Path(folder) / HEADER_FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def _is_object(value):
    return isinstance(value, dict)


def _is_shape(value):
    return is_list_of(value, lambda number: is_whole(number, 1))


OBJECT, COUNT, TEXT = (
    ("an object", _is_object),
    ("a number above 0", lambda value: is_whole(value, 1)),
    ("text", is_text),
)
SHAPES = ("shapes by name", lambda value: _is_object(value) and all(map(_is_shape, value.values())))
FIELDS = {
    "data": OBJECT,
    "sources": SHAPES,
    "records": COUNT,
    "views": COUNT,
    "seed": ("a whole number", is_whole),
    "backbone": OBJECT,
    "norm": OBJECT,
    "output_stride": COUNT,
    "weights": TEXT,
    "weights_from": TEXT,
    "levels": SHAPES,
    "crop_size": ("[height, width]", lambda value: _is_shape(value) and len(value) == 2),
    "batch_size": COUNT,
}


def read_header(folder: str | os.PathLike) -> Header:
    """The header of the features in a folder.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is damaged; the message names the file and the field.
    """
    path = pathlib.Path(folder) / HEADER_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no cached features: {HEADER_FILE} is missing; {CACHE_AGAIN}")
    fields = read_object(path)
    check_fields(path, fields, FIELDS, {})
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise DamagedFileError(f"{path}: {unknown[0]!r} is no field of cached features")
    return Header(**fields)


def source_sizes(sources: Sequence[str], data_dir: str | os.PathLike) -> dict[str, list[int]]:
    """{"name/split": [records, bytes of them]}, by which it is seen that a data set was converted anew."""
    sizes = {}
    for split in map(Split.parse, sources):
        info = load_info(split.dataset, data_dir)
        sizes[str(split)] = [info.num_examples[split.name], info.num_bytes[split.name]]
    return sizes


def views_done(folder: str | os.PathLike, header: Header) -> int:
    """How many views are there whole, in every array."""
    done = []
    for name, dtype, shape in header.arrays().values():
        path = pathlib.Path(folder) / name
        size = path.stat().st_size if path.exists() else 0
        done.append(size // (dtype.itemsize * int(np.prod(shape))))
    return min(done)


def _counted(sizes):
    return ", ".join(f"{name} ({records} pictures)" for name, (records, *_) in sizes.items())


class CachedFeatures:
    """Cached features that are complete, opened for training.

    Args:
        folder: of the features.
        sources: "name/split" that the training names; they must be those of the features.
        data_dir: where converted data sets live.

    Raises:
        OSError: there are none.
        ValueError: they are damaged, not complete, or of other sources.
    """

    def __init__(self, folder: str | os.PathLike, sources: Sequence[str], data_dir: str | os.PathLike):
        self.folder, self.sources, self.data_dir = pathlib.Path(folder), tuple(sources), data_dir
        self.header = header = read_header(folder)
        sizes = source_sizes(sources, data_dir)
        if sizes != header.sources:
            now, then = map(_counted, (sizes, header.sources))
            raise ValueError(f"{folder} holds features of {then}, not of {now} as it is now; {CACHE_AGAIN}")
        done = views_done(folder, header)
        if done != header.count:
            raise ValueError(f"{folder} holds {done} of its {header.count} views; the command that made them continues")
        self._arrays = {
            name: np.memmap(self.folder / file, dtype, "r", shape=(header.count, *shape))
            for name, (file, dtype, shape) in header.arrays().items()
        }

    def view(self, seed: int, position: int) -> int:
        """Which view the example at a position of a run takes: uniform, a function of seed and position."""
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, position])))
        return int(generator.integers(self.header.views))

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The views at int64 [b], each view v · records + record: {level: float16 [b, h, w, C], "labels": uint8}."""
        return {name: array[indices] for name, array in self._arrays.items()}

    def batches(
        self,
        *,
        batch_size: int,
        seed: int,
        weights: Sequence[float] = (),
        first_step: int = 0,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """The endless training stream: {level: float16 [b, h, w, C], "labels": int32 [b, H, W]}.

        The records come in the order in which `pipeline.train_batches` has them, each in one of its views.

        Args:
            batch_size, seed, weights, first_step, input_context: as `pipeline.train_batches`.
        """
        pipelines, pipeline, per_replica = shares(batch_size, input_context)
        table = RecordTable(self.sources, self.data_dir)
        per_pipeline = batch_size // pipelines
        order = RunOrder(table.sizes, seed, weights)
        numbers = record_numbers(order, first_step * batch_size, batch_size, pipeline * per_pipeline, per_pipeline)
        names, dtypes = list(self._arrays), [array.dtype for array in self._arrays.values()]

        def read(positions, records):
            views = np.array([self.view(seed, int(position)) for position in positions])
            return list(self.read(views * self.header.records + records).values())

        @tf.autograph.experimental.do_not_convert
        def read_batch(positions, records):
            batch = dict(zip(names, tf.numpy_function(read, [positions, records], dtypes, stateful=False), strict=True))
            for name, array in self._arrays.items():
                batch[name] = tf.ensure_shape(batch[name], [per_replica, *array.shape[1:]])
            return {**batch, LABELS: tf.cast(batch[LABELS], tf.int32)}

        batches = numbers.batch(per_replica, drop_remainder=True)
        return batches.map(read_batch, num_parallel_calls=2, deterministic=True).prefetch(2)
