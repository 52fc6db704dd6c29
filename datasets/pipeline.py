"""TFRecords -> batches: the training stream, a pure function of (sources, seed, position), and the evaluation sets."""

import tensorflow as tf

from datasets import augment, encoding, window
from datasets.info import IGNORE_LABEL, DatasetError, load_info
from datasets.records import read_records, shard_files

SHUFFLE_BUFFER = 1024
FILES_AT_ONCE = 16


def train_batches(
    sources,
    *,
    data_dir,
    crop_size,
    batch_size,
    seed,
    scales=augment.SCALES,
    flip=True,
    brightness=0.0,
    first_step=0,
    input_context=None,
    shuffle_buffer=SHUFFLE_BUFFER,
):
    """The endless training stream: {"image": float32 [b, h, w, 3], 0…255, "labels": int32 [b, h, w]}.

    Scaled, brightened, padded, cropped and flipped (Sect. 2.3.1.5), all of it a function of the seed and the example's
    position in the run: the stream from `first_step` is the tail of that from step 0, and the global batch does not
    depend on the number of replicas or input pipelines.

    Args:
        sources: "name/split" of the converted data sets, mixed in proportion to their sizes.
        data_dir: where converted data sets live.
        crop_size: (height, width) in pixels, or one number for both.
        batch_size: images per step over all replicas.
        seed: of the order and of the augmentation.
        scales: factors of the random scale, each with equal chance.
        flip: whether to mirror half of the images.
        brightness: largest change of the random brightness, in values of 0…255; 0 is none, the author's code has 32.
        first_step: step of the first batch.
        input_context: the `tf.distribute.InputContext`; batches are then per replica.
        shuffle_buffer: encoded records that are held in memory to be shuffled.

    Raises:
        ValueError: the replicas or pipelines do not divide the batch.
        DatasetError: a source is missing, or the sources' classes differ.
    """
    height, width = (crop_size, crop_size) if isinstance(crop_size, int) else crop_size
    pipelines, pipeline, per_replica = _shares(batch_size, input_context)
    records = _stream(
        sources, data_dir=data_dir, seed=seed, first=first_step * batch_size, shuffle_buffer=shuffle_buffer
    )
    if pipelines > 1:
        per_pipeline = batch_size // pipelines
        records = records.filter(lambda position, _: position % batch_size // per_pipeline == pipeline)

    @tf.autograph.experimental.do_not_convert
    def prepare(position, serialized):
        example_seed = tf.stack([tf.constant(seed, tf.int64), position])
        return window.augment_encoded(
            encoding.parse_example(serialized),
            example_seed,
            size=(height, width),
            scales=scales,
            flip=flip,
            brightness=brightness,
        )

    batches = records.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = batches.batch(per_replica, drop_remainder=True)
    batches = batches.map(lambda batch: {**batch, "labels": tf.cast(batch["labels"], tf.int32)})
    return batches.prefetch(tf.data.AUTOTUNE)


def batch_filenames(sources, *, data_dir, batch_size, seed, step, shuffle_buffer=SHUFFLE_BUFFER):
    """The file names of the images in the global training batch of `step`, in order: a list of str."""
    records = _stream(sources, data_dir=data_dir, seed=seed, first=step * batch_size, shuffle_buffer=shuffle_buffer)
    names = records.take(batch_size).map(lambda _, serialized: encoding.parse_example(serialized)["filename"])
    return [name.decode() for name in names.as_numpy_iterator()]


def eval_batches(name, split, *, data_dir, batch_size=1, input_context=None):
    """The images of a split, whole, once, in stored order: {"image": float32 [b, H, W, 3], "labels": int32 [b, H, W]}.

    Smaller images of a batch are filled up at the bottom and the right (127.5, 255); the last batch may be smaller.
    With an `input_context` every pipeline reads its own part, and `batch_size` counts the images per replica.
    """
    records, _ = read_records(name, split, data_dir)
    if input_context is not None:
        records = records.shard(input_context.num_input_pipelines, input_context.input_pipeline_id)
    examples = records.map(_whole, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    padding = {"image": augment.PADDING_COLOR, "labels": IGNORE_LABEL}
    return examples.padded_batch(batch_size, padding_values=padding).prefetch(tf.data.AUTOTUNE)


def _shares(batch_size, input_context):
    """(number of pipelines, this one's number, images per replica) of a global batch."""
    if input_context is None:
        return 1, 0, batch_size
    pipelines, replicas = input_context.num_input_pipelines, input_context.num_replicas_in_sync
    for what, number in (("replicas", replicas), ("input pipelines", pipelines)):
        if batch_size % number:
            raise ValueError(f"the global batch_size {batch_size} cannot be split evenly over {number} {what}")
    return pipelines, input_context.input_pipeline_id, batch_size // replicas


def _stream(sources, *, data_dir, seed, first, shuffle_buffer):
    """The endless shuffled stream of (position, serialized example) from position `first` on.

    Each epoch has every record once, in an order of its own: the files are shuffled and read several at a time, then
    the records pass through a shuffle buffer. The stream is entered at the right epoch; inside it, records are
    skipped undecoded.
    """
    files, count = _files(sources, data_dir)

    @tf.autograph.experimental.do_not_convert
    def epoch(number):
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), number])
        file_seed, record_seed = tf.unstack(tf.random.experimental.stateless_split(epoch_seed, alg="philox"))
        ordered = tf.random.experimental.stateless_shuffle(tf.constant(files), file_seed, alg="philox")
        records = tf.data.Dataset.from_tensor_slices(ordered).interleave(
            tf.data.TFRecordDataset, cycle_length=FILES_AT_ONCE, num_parallel_calls=2, deterministic=True
        )
        tf.random.set_seed(1)  # of this graph: the order is the run's seed's alone, whatever the global seed is
        records = records.shuffle(
            min(shuffle_buffer, count), seed=tf.cast(record_seed[0], tf.int64), reshuffle_each_iteration=False
        )
        positions = tf.data.Dataset.range(number * count, (number + 1) * count)
        return tf.data.Dataset.zip((positions, records))

    first_epoch, skipped = divmod(first, count)
    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch).skip(skipped)


def _files(sources, data_dir):
    """All TFRecord files of the sources, and the number of records in them."""
    if isinstance(sources, str) or not sources:
        raise ValueError(f"sources must be a tuple of 'name/split', not {sources!r}")
    files, count, classes = [], 0, {}
    for source in sources:
        name, _, split = source.partition("/")
        if not split:
            raise ValueError(f"a source is 'name/split', as in 'voc2012/train', not {source!r}")
        some, number = shard_files(name, split, data_dir)
        files, count = files + some, count + number
        classes.setdefault(load_info(name, data_dir).class_names, source)
    if len(classes) > 1:
        raise DatasetError(f"{' and '.join(classes.values())} have different classes; they cannot be mixed")
    return files, count


def _whole(serialized):
    return encoding.decode_example(encoding.parse_example(serialized))
