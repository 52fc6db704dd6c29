"""TFRecords -> batches: the training stream, a pure function of (sources, seed, position), and the evaluation sets.

For features that are computed once, fixed views of every picture.
"""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets import augment, encoding
from deeplab_ksac.datasets.access import RecordTable, evenly_spread
from deeplab_ksac.datasets.distortions import Distortions, require_colors
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.order import RunOrder
from deeplab_ksac.datasets.own_augmentations import Augmentation, apply_own


def train_batches(
    sources: Sequence[str],
    *,
    data_dir: str | os.PathLike,
    crop_size: int | tuple[int, int],
    batch_size: int,
    seed: int,
    scales: Sequence[float],
    flip: bool,
    weights: Sequence[float] = (),
    augmentations: Sequence[Augmentation] = (),
    first_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    **largest: float,
) -> tf.data.Dataset:
    """The endless training stream: {"image": float32 [b, h, w, C], 0…255, "labels": int32 [b, h, w]}.

    Scaled, padded, cropped, flipped (Sect. 2.3.1.5) and distorted, all of it a function of the seed and the example's
    position in the run: the stream from `first_step` is the tail of that from step 0, and the global batch does not
    depend on the number of replicas or input pipelines. A pipeline reads the records of its own part of each batch and
    no others, wherever in the run it starts.

    Args:
        sources: "name/split" of the converted data sets.
        data_dir: where converted data sets live.
        crop_size: (height, width) in pixels, or one number for both.
        batch_size: images per step over all replicas.
        seed: of the order and of the augmentation.
        scales: factors of the random scale, each with equal chance.
        flip: whether to mirror half of the images.
        weights: how often each source is drawn, relative to the others; empty for plain concatenation, in which every
            record is seen once an epoch. See `order.RunOrder`.
        augmentations: functions (example, seed) -> example of one's own, as `own_augmentations` says.
        first_step: step of the first batch.
        input_context: the `tf.distribute.InputContext`; batches are then per replica.
        largest: fields of `distortions.Distortions`: brightness (the author's code has 32), contrast, …; 0 by default.

    Raises:
        ValueError: the replicas or pipelines do not divide the batch, weights that do not fit the sources, an
            augmentation that gives something else than an example, or distortions of colors of pictures without any.
        DatasetError: a source is missing, or the sources' classes or bands differ.
        tf.errors.InvalidArgumentError: when iterated, the record of a picture whose crop shows a label that is none of
            the classes, or whose mask has another size; the message has the file name.
    """
    pipelines, pipeline, per_replica = shares(batch_size, input_context)
    table = RecordTable(sources, data_dir)
    prepare = _preparation(table, seed, crop_size, scales, flip, augmentations, largest)
    order = RunOrder(table.sizes, seed, weights)
    per_pipeline = batch_size // pipelines
    numbers = record_numbers(order, first_step * batch_size, batch_size, pipeline * per_pipeline, per_pipeline)
    return _crops(table, numbers, prepare, per_replica, drop_remainder=True)


def view_batches(
    sources: Sequence[str],
    *,
    data_dir: str | os.PathLike,
    crop_size: int | tuple[int, int],
    batch_size: int,
    seed: int,
    scales: Sequence[float],
    flip: bool,
    views: int,
    augmentations: Sequence[Augmentation] = (),
    first: int = 0,
    **largest: float,
) -> tf.data.Dataset:
    """Fixed views of every record, each a crop as of `train_batches`: {"image", "labels"}, the last batch smaller.

    View v of record r of the n of all sources is at position v·n + r, and a function of the seed and that position.

    Args:
        sources, data_dir, crop_size, scales, flip, augmentations, largest: as `train_batches`.
        batch_size: views of a batch.
        seed: of the views.
        views: how many there are of each record.
        first: position of the first.

    Raises:
        As `train_batches`.
    """
    table = RecordTable(sources, data_dir)
    prepare = _preparation(table, seed, crop_size, scales, flip, augmentations, largest)
    records = sum(table.sizes)
    numbers = tf.data.Dataset.range(first, views * records).map(lambda position: (position, position % records))
    return _crops(table, numbers, prepare, batch_size, drop_remainder=False)


def _preparation(table, seed, crop_size, scales, flip, augmentations, largest):
    """The function (position, serialized example) -> its crop."""
    size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
    distortions = Distortions(**largest)
    require_colors(distortions, table.bands)

    @tf.autograph.experimental.do_not_convert
    def prepare(position, serialized):
        example_seed = tf.stack([tf.constant(seed, tf.int64), position])
        parsed = encoding.of_one_size(encoding.parse_example(serialized), table.bands)
        example = augment.augment(
            parsed,
            example_seed,
            size=size,
            scales=scales,
            flip=flip,
            distortions=distortions,
            bands=table.bands,
        )
        labels = encoding.of_classes(example["labels"], table.num_classes, parsed["filename"])
        return apply_own({**example, "labels": labels}, example_seed, augmentations, num_classes=table.num_classes)

    return prepare


def _crops(table, numbers, prepare, batch_size, drop_remainder):
    """The batches of crops of a dataset of (position, record number)."""
    batches = table.read(numbers).map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = batches.batch(batch_size, drop_remainder=drop_remainder)
    batches = batches.map(lambda batch: {**batch, "labels": tf.cast(batch["labels"], tf.int32)})
    return batches.prefetch(tf.data.AUTOTUNE).with_options(_one_thread_an_example())


def batch_filenames(
    sources: Sequence[str],
    *,
    data_dir: str | os.PathLike,
    batch_size: int,
    seed: int,
    step: int,
    weights: Sequence[float] = (),
) -> list[str]:
    """The file names of the images in the global training batch of `step`, in order."""
    table = RecordTable(sources, data_dir)
    return filenames(table, RunOrder(table.sizes, seed, weights).records(step * batch_size, batch_size))


def filenames(table: RecordTable, numbers: Sequence[int]) -> list[str]:
    """The file names of the images of records, by their numbers."""
    numbers = np.asarray(numbers, np.int64)
    records = table.read(tf.data.Dataset.from_tensor_slices(numbers).enumerate())
    names = records.map(lambda _, serialized: encoding.parse_example(serialized)["filename"])
    return [name.decode() for name in names.as_numpy_iterator()]


def eval_batches(
    name: str,
    split: str,
    *,
    data_dir: str | os.PathLike,
    batch_size: int = 1,
    images: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """The images of a split, uncut, each once: {"image": float32 [b, H, W, C], "labels": int32 [b, H, W]}.

    A batch holds images of one size, so that no network sees a filling: one by one they come in stored order; of
    larger batches those that are full come first, and what is left of each size at the end. Until then the records
    wait as they are stored.

    With an `input_context` every pipeline reads its own images only, and `batch_size` counts the images per replica.

    Args:
        name, split: of the converted data set.
        data_dir: where converted data sets live.
        batch_size: images of a batch.
        images: how many are taken, spread evenly over the split; 0 for all, as where there are no more.
        input_context: the `tf.distribute.InputContext`.
    """
    table = RecordTable((f"{name}/{split}",), data_dir)
    numbers = tf.data.Dataset.range(*table.sizes)
    if 0 < images < table.sizes[0]:
        numbers = tf.data.Dataset.from_tensor_slices(evenly_spread(images, table.sizes[0]))
    numbers = numbers.enumerate()
    if input_context is not None:
        numbers = numbers.shard(input_context.num_input_pipelines, input_context.input_pipeline_id)
    num_classes, records = load_info(name, data_dir).num_classes, table.read(numbers)

    @tf.autograph.experimental.do_not_convert
    def decode(serialized):
        return encoding.decode_fitting(encoding.parse_example(serialized), num_classes, table.bands)

    @tf.autograph.experimental.do_not_convert
    def decode_batch(several):
        specs = {
            "image": tf.TensorSpec([None, None, table.bands.number]),
            "labels": tf.TensorSpec([None, None], tf.int32),
        }
        return tf.map_fn(decode, several, fn_output_signature=specs, parallel_iterations=batch_size)

    ways = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    if batch_size == 1:
        return records.map(lambda _, record: decode(record), **ways).batch(1).prefetch(tf.data.AUTOTUNE)
    batches = records.map(lambda _, record: record).group_by_window(
        _size_key, lambda _, same: same.batch(batch_size), window_size=batch_size
    )
    return batches.map(decode_batch, **ways).prefetch(tf.data.AUTOTUNE)


def _one_thread_an_example():
    """Options for pipelines whose examples are prepared side by side: to split single operations as well only costs."""
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    return options


def shares(batch_size: int, input_context: tf.distribute.InputContext | None) -> tuple[int, int, int]:
    """(number of pipelines, this one's number, images per replica) of a global batch.

    Raises:
        ValueError: the replicas or pipelines do not divide the batch.
    """
    if input_context is None:
        return 1, 0, batch_size
    pipelines, replicas = input_context.num_input_pipelines, input_context.num_replicas_in_sync
    for what, number in (("replicas", replicas), ("input pipelines", pipelines)):
        if batch_size % number:
            raise ValueError(f"the global batch_size {batch_size} cannot be split evenly over {number} {what}")
    return pipelines, input_context.input_pipeline_id, batch_size // replicas


def record_numbers(order: RunOrder, first: int, batch_size: int, begin: int, length: int) -> tf.data.Dataset:
    """The endless dataset of (position, record number) from position `first` on.

    Of each batch only `length` positions from its `begin` on are in it.
    """

    @tf.autograph.experimental.do_not_convert
    def round_from(number):
        start = number * order.round_length
        positions = tf.range(tf.maximum(start, first), start + order.round_length)
        wanted = positions % batch_size
        positions = tf.boolean_mask(positions, (wanted >= begin) & (wanted < begin + length))
        records = tf.ensure_shape(
            tf.numpy_function(order.round, [number], tf.int64, stateful=False), [order.round_length]
        )
        return tf.data.Dataset.from_tensor_slices((positions, tf.gather(records, positions - start)))

    return tf.data.Dataset.range(first // order.round_length, tf.int64.max).flat_map(round_from)


@tf.autograph.experimental.do_not_convert
def _size_key(serialized):
    """One number for the height and width of an example that is not decoded yet."""
    parsed = encoding.parse_example(serialized)
    return tf.cast(parsed["height"], tf.int64) * 2**32 + tf.cast(parsed["width"], tf.int64)
