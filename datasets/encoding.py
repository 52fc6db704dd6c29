"""One example, checked and packed: a picture file and its labels <-> a `tf.train.Example` with DeepLab's keys."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from datasets.info import IGNORE_LABEL, DatasetError

IMAGE = "image/encoded"
IMAGE_FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
FILENAME = "image/filename"
LABELS = "image/segmentation/class/encoded"
LABELS_FORMAT = "image/segmentation/class/format"

SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


def encode_example(example, info):
    """Packs one raw example; the bytes of the image file are kept as they are.

    Args:
        example: {"id", "image": path, "label": integers [H, W] or [H, W, 1]}, and "mask", the path to name in errors.
        info: the `DatasetInfo` whose classes the labels are.

    Returns:
        (the serialized `tf.train.Example`, the pixel counts [256] of the labels 0…255).

    Raises:
        DatasetError: an unreadable image, labels of another size than the image, or values outside the class list.
    """
    mask_name = example.get("mask", f"of {example['image']}")
    labels = np.asarray(example["label"])
    labels = labels[..., 0] if labels.ndim == 3 and labels.shape[-1] == 1 else labels
    encoded, image_format, (height, width) = _read_image(example["image"])
    if labels.shape != (height, width):
        raise DatasetError(
            f"mask {mask_name} is {_size(labels.shape)}, its image {example['image']} is {_size((height, width))} "
            f"(width×height)"
        )
    check_labels(labels, info, mask_name)
    labels = labels.astype(np.uint8)
    features = {
        IMAGE: _bytes(encoded),
        IMAGE_FORMAT: _bytes(image_format.encode()),
        HEIGHT: _integer(height),
        WIDTH: _integer(width),
        FILENAME: _bytes(str(example["id"]).encode()),
        LABELS: _bytes(_png(labels)),
        LABELS_FORMAT: _bytes(b"png"),
    }
    serialized = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return serialized, np.bincount(labels.ravel(), minlength=256)


def check_labels(labels, info, mask_name):
    """Refuses labels outside 0…K−1 and 255, with the values and their pixel counts."""
    wrong = ((labels < 0) | (labels >= info.num_classes)) & (labels != IGNORE_LABEL)
    if not wrong.any():
        return
    values, counts = np.unique(labels[wrong], return_counts=True)
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values[:5], counts[:5]))
    more = f" and {len(values) - 5} more values" if len(values) > 5 else ""
    raise DatasetError(
        f"mask {mask_name}: {counts.sum()} of {labels.size} pixels lie outside the classes "
        f"0…{info.num_classes - 1} and 255: {shown}{more}"
    )


def parse_example(serialized):
    """A serialized example -> {"encoded", "format", "height", "width", "filename", "labels_encoded"}, still encoded."""
    string, integer = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_single_example(
        serialized,
        {IMAGE: string, IMAGE_FORMAT: string, HEIGHT: integer, WIDTH: integer, FILENAME: string, LABELS: string},
    )
    return {
        "encoded": parsed[IMAGE],
        "format": parsed[IMAGE_FORMAT],
        "height": tf.cast(parsed[HEIGHT], tf.int32),
        "width": tf.cast(parsed[WIDTH], tf.int32),
        "filename": parsed[FILENAME],
        "labels_encoded": parsed[LABELS],
    }


def decode_image(parsed):
    """The picture of a parsed example: uint8 [H, W, 3], RGB."""
    return tf.cond(
        parsed["format"] == "jpeg",
        lambda: tf.io.decode_jpeg(parsed["encoded"], channels=3),
        lambda: tf.io.decode_png(parsed["encoded"], channels=3),
    )


def decode_labels(parsed):
    """The labels of a parsed example: uint8 [H, W]."""
    return tf.io.decode_png(parsed["labels_encoded"], channels=1)[..., 0]


def decode_example(parsed):
    """The whole example: {"image": float32 [H, W, 3], "labels": int32 [H, W]}."""
    image = tf.ensure_shape(decode_image(parsed), [None, None, 3])
    return {"image": tf.cast(image, tf.float32), "labels": tf.cast(decode_labels(parsed), tf.int32)}


def _read_image(path):
    """The bytes, the format and the (height, width) of an image file that decodes from end to end."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"image {path} cannot be read: {error.strerror}") from error
    kind = next((name for start, name in SIGNATURES.items() if encoded.startswith(start)), None)
    if kind is None:
        found = "is empty" if not encoded else f"begins with {encoded[:8]!r}"
        raise DatasetError(f"image {path} is neither JPEG nor PNG: it {found}")
    decode = tf.io.decode_jpeg if kind == "jpeg" else tf.io.decode_png
    try:
        with tf.device("CPU:0"):
            height, width, _ = decode(encoded, channels=3).shape
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
        raise DatasetError(
            f"image {path} is truncated or corrupt: its {len(encoded)} bytes do not decode as {kind.upper()}"
        ) from error
    return encoded, kind, (height, width)


def _png(labels):
    """Labels [H, W] as a grayscale PNG."""
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "png")
    return buffer.getvalue()


def _size(shape):
    return "×".join(str(n) for n in (*reversed(shape[:2]), *shape[2:]))


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integer(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
