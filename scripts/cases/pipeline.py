"""The training pipeline against bare decoding of the same records, JPEG and PNG: crops of 513×513, processor time.

`pipeline` has generated pictures of VOC's usual size, packed so that a JPEG has as many bytes as one of VOC's
photographs and takes as long to decode (90 KB and 1.1 ms; as it is painted, 51 KB and 0.9 ms). Set
PIPELINE_RECORDS=<data_dir>/<name>/<split>, a converted set of JPEGs, and `pipeline_records` measures it on those:

    PIPELINE_RECORDS=data/voc2012/train ksac benchmark --cases=pipeline_records
"""

import functools
import os
import pathlib
import tempfile
import time

import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import encoding, pipeline, records
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.experiment import Data
from deeplab_ksac.scripts.cases import Bound, Case

IMAGES, RUN, BATCH = 64, 480, 16
QUALITY = 98  # of the generated JPEGs: with it they cost what photographs do
GENERATED = "scenes/train"
RECORDS = os.environ.get("PIPELINE_RECORDS")
IDLE = 0.1  # seconds without work after which nothing is being prepared any more


@functools.cache
def converted():
    """The data directory with a converted set of generated pictures of VOC's usual size, made once a process."""
    folder = tempfile.TemporaryDirectory(prefix="benchmark_")
    FOLDERS.append(folder)
    raw, data_dir = pathlib.Path(folder.name, "raw"), pathlib.Path(folder.name, "data")
    scenes.generate(raw, counts={"train": IMAGES}, size=(375, 500))
    for file in (raw / "images" / "train").glob("*.jpg"):
        with Image.open(file) as image:
            image.load()
        image.save(file, quality=QUALITY)
    records.write_records("scenes", raw, data_dir)
    return data_dir


FOLDERS = []  # kept until the process ends


def prepare_training(data_dir, source):
    """Takes `RUN` images from the training stream."""
    stream = pipeline.train_batches(**vars(Data((source,))), data_dir=data_dir(), batch_size=BATCH, seed=0)
    return functools.partial(take, iter(stream))


def prepare_decoding(data_dir, source):
    """Decodes `RUN` records, image and labels, and does nothing with them."""
    files, _ = records.shard_files(*source.split("/"), data_dir())

    def decode(serialized):
        parsed = encoding.parse_example(serialized)
        image = tf.io.decode_jpeg(parsed["encoded"], channels=3, dct_method=encoding.JPEG_TRANSFORM)
        return image[0, 0], encoding.decode_labels(parsed)[0, 0]  # one pixel, so that taking it costs nothing

    decoded = tf.data.TFRecordDataset(files).repeat().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return functools.partial(take, iter(decoded.batch(BATCH).prefetch(tf.data.AUTOTUNE)))


def take(batches, images=RUN):
    """Takes so many images; seconds of processor time, with what is then prepared ahead of the next turn."""
    start = last = time.process_time()
    for _ in range(images // BATCH):
        next(batches)
    while (now := time.process_time()) - last > IDLE / 100:
        last = now
        time.sleep(IDLE)
    return now - start


def case(title, data_dir, source):
    """The two sides on the records of `source` in the folder that `data_dir()` gives."""
    return Case(
        title=title,
        sides={
            "decoding": functools.partial(prepare_decoding, data_dir, source),
            "training": functools.partial(prepare_training, data_dir, source),
        },
        bounds=(Bound("training", "decoding", 1 / 0.7),),
        work={"decoding": RUN, "training": RUN},
    )


CASES = {"pipeline": case("pipeline at 513×513, generated 500×375 JPEGs", converted, GENERATED)}
if RECORDS:
    *_, NAME, SPLIT = pathlib.PurePath(RECORDS).parts
    CASES["pipeline_records"] = case(
        f"pipeline at 513×513, {NAME}/{SPLIT}",
        lambda: pathlib.Path(RECORDS).parents[1],
        f"{NAME}/{SPLIT}",
    )
