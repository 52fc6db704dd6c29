"""The training pipeline against bare decoding of the same records: 500×375 JPEGs, crops of 513×513."""

import pathlib
import tempfile

import tensorflow as tf

from scripts.cases import Bound, Case
from datasets import encoding, pipeline, records
from datasets.sources import scenes

IMAGES, RUN, BATCH = 64, 480, 16


def converted():
    """A folder with a converted set of generated pictures of VOC's usual size, made once a process."""
    if not FOLDERS:
        folder = tempfile.TemporaryDirectory(prefix="benchmark_")
        raw = pathlib.Path(folder.name, "raw")
        scenes.generate(raw, counts={"train": IMAGES}, size=(375, 500))
        records.write_records("scenes", raw, pathlib.Path(folder.name, "data"))
        FOLDERS.append(folder)
    return pathlib.Path(FOLDERS[0].name, "data")


FOLDERS = []  # kept until the process ends


def prepare_training():
    """Takes `RUN` images from the training stream."""
    batches = iter(
        pipeline.train_batches(("scenes/train",), data_dir=converted(), crop_size=513, batch_size=BATCH, seed=0)
    )

    def take():
        for _ in range(RUN // BATCH):
            next(batches)

    return take


def prepare_decoding():
    """Decodes `RUN` records, image and labels, and does nothing with them."""
    files, _ = records.shard_files("scenes", "train", converted())

    def decode(serialized):
        parsed = encoding.parse_example(serialized)
        image = tf.io.decode_jpeg(parsed["encoded"], channels=3)
        return image[0, 0], encoding.decode_labels(parsed)[0, 0]  # one pixel, so that taking it costs nothing

    decoded = tf.data.TFRecordDataset(files).repeat().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    examples = iter(decoded.batch(BATCH).prefetch(1))  # no more, or it would work ahead in the other side's turn

    def take():
        for _ in range(RUN // BATCH):
            next(examples)

    return take


CASES = {
    "pipeline": Case(
        title="pipeline, 500×375 JPEGs -> 513×513, against decoding alone",
        sides={"decoding": prepare_decoding, "training": prepare_training},
        bounds=(Bound("training", "decoding", 1 / 0.7),),
    )
}
