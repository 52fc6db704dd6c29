"""The sizes of a converted data set's pictures, as some of its records state them."""

import os
from collections.abc import Sequence

import tensorflow as tf

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.access import RecordTable, damage_named, evenly_spread

SAMPLE = 64  # records, in which a data set of one size or few shows them


def sample_sizes(sources: Sequence[str], data_dir: str | os.PathLike, count: int = SAMPLE) -> list[tuple[int, int]]:
    """(height, width) in pixels of `count` pictures spread evenly over splits; of all where there are no more.

    No picture is decoded.

    Args:
        sources: "name/split" of the converted data sets.
        data_dir: where converted data sets live.
        count: how many are looked at.

    Raises:
        ValueError: sources that are no tuple of "name/split".
        DatasetError: a source is missing or damaged.
    """
    table = RecordTable(sources, data_dir)
    total = sum(table.sizes)
    numbers = tf.data.Dataset.from_tensor_slices(evenly_spread(min(count, total), total))

    @tf.autograph.experimental.do_not_convert
    def stated(_, serialized):
        parsed = encoding.parse_example(serialized)
        return parsed["height"], parsed["width"]

    with damage_named(sources, data_dir):
        sizes = list(table.read(numbers.enumerate()).map(stated).as_numpy_iterator())
    return [(int(height), int(width)) for height, width in sizes]
