"""From a start to the first batch of 100,000 records in 256 files, with the index of the records and without.

Reads are counted by the kernel (`syscr` in /proc/self/io, Linux only), in Python and in TensorFlow alike. What a
network would add is computed: 20 ms for each read, one after the other.
"""

import functools
import itertools
import pathlib
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets import encoding, stored
from deeplab_ksac.datasets.info import INFO_FILE, ConvertedInfo, dataset_dir, save_info
from deeplab_ksac.datasets.pipeline import train_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.datasets.stored import StoredSplit, index_path, shard_name
from deeplab_ksac.scripts.cases import Bound, Case

RECORDS, FILES, BATCH, SIDE = 100_000, 256, 16, 17
SPLIT = Split("many", "train")
LATENCY = 0.02  # seconds of a read over a network
FOLDERS = []  # kept until the process ends
READS = {}  # side -> reads of each run
SECONDS = {}  # side -> seconds of each run


@functools.cache
def converted(records=RECORDS):
    """The data directory with a set of one small record many times, made once a process."""
    FOLDERS.append(tempfile.TemporaryDirectory(prefix="benchmark_"))
    data_dir = pathlib.Path(FOLDERS[-1].name)
    folder = dataset_dir(SPLIT.dataset, data_dir)
    folder.mkdir(parents=True)
    record = tf.train.Example(features=tf.train.Features(feature=_features())).SerializeToString()
    bounds = [records * index // FILES for index in range(FILES + 1)]
    for index, (first, stop) in enumerate(itertools.pairwise(bounds)):
        with tf.io.TFRecordWriter(str(folder / shard_name(SPLIT.dataset, SPLIT.name, index, FILES))) as writer:
            for _ in range(first, stop):
                writer.write(record)
    info = ConvertedInfo(
        name=SPLIT.dataset,
        class_names=("ground", "thing"),
        colors=((0, 0, 0), (255, 255, 255)),
        num_examples={SPLIT.name: records},
        pixel_counts={SPLIT.name: (records * SIDE**2, 0)},
        ignored_pixels={SPLIT.name: 0},
        num_shards={SPLIT.name: FILES},
        num_bytes={SPLIT.name: records * len(record)},
    )
    save_info(info, folder)
    assert (folder / INFO_FILE).is_file()
    StoredSplit.find(SPLIT, data_dir).offsets()  # which writes the index
    return data_dir


def _features():
    """The features of a record of `encoding`: noise, so that a picture has some bytes."""
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    labels = np.zeros([SIDE, SIDE], np.uint8)

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def number(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    return {
        encoding.IMAGE: text(tf.io.encode_png(picture).numpy()),
        encoding.IMAGE_FORMAT: text(b"png"),
        encoding.HEIGHT: number(SIDE),
        encoding.WIDTH: number(SIDE),
        encoding.FILENAME: text(b"one"),
        encoding.LABELS: text(encoding.encode_labels(labels)),
        encoding.LABELS_FORMAT: text(b"png"),
    }


def prepare(side, records=RECORDS):
    """Opens the set as a new process would, and takes the first batch; the seconds of that."""
    data_dir = converted(records)
    index = index_path(dataset_dir(SPLIT.dataset, data_dir), SPLIT.dataset, SPLIT.name)

    def run():
        if side == "looking through":
            index.unlink()
        stored.forget()
        before, start = _reads(), time.perf_counter()
        stream = train_batches(
            (str(SPLIT),), data_dir=data_dir, crop_size=SIDE, batch_size=BATCH, seed=0, scales=(1.0,), flip=False
        )
        next(iter(stream))
        seconds = time.perf_counter() - start
        READS.setdefault(side, []).append(_reads() - before)
        SECONDS.setdefault(side, []).append(seconds)
        return seconds

    return run


def _reads():
    """The reads that this process has asked the kernel for."""
    lines = dict(line.split(": ") for line in pathlib.Path("/proc/self/io").read_text().splitlines())
    return int(lines["syscr"])


def told():
    """Reads and seconds of each side, and what the seconds would be with 20 ms for each read."""
    lines = []
    for side, reads in READS.items():
        count, seconds = statistics.median(reads), statistics.median(SECONDS[side])
        lines.append(
            f"{side}: {count:,.0f} reads and {seconds:.2f} s to the first batch; with {1e3 * LATENCY:.0f} ms for each "
            f"read, one after the other, {seconds + LATENCY * count:,.1f} s"
        )
    return lines


CASES = {
    "record_index": Case(
        title="first batch of 100,000 records",
        sides={side: functools.partial(prepare, side) for side in ("index", "looking through")},
        bounds=(Bound("index", "looking through", None),),
        told=told,
    )
}
