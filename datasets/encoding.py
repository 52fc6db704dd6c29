"""One example, checked and packed: a picture file and its labels <-> a `tf.train.Example` with DeepLab's keys."""

import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.band_pictures import BandSums, encode_bands, read_bands
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.pictures import ROTATIONS, read_picture
from deeplab_ksac.datasets.pixels import InAFile
from deeplab_ksac.json_files import shortened

IMAGE = "image/encoded"
IMAGE_FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
FILENAME = "image/filename"
LABELS = "image/segmentation/class/encoded"
LABELS_FORMAT = "image/segmentation/class/format"

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_TRANSFORM = "INTEGER_ACCURATE"  # libjpeg's exact one, as Pillow takes it; TensorFlow's default is a fast one
CONVERT_AGAIN = "; convert the data set again"
UP = 2  # PNG's filter that stores a line as its difference from the line above


def encode_example(
    example: Mapping[str, Any], info: DatasetInfo, *, rotation: str = ROTATIONS[0], sums: BandSums | None = None
) -> tuple[bytes, np.ndarray]:
    """Packs one raw example; the bytes of the image file are kept as they are (`datasets.pictures.read_picture`).

    Other bands than RGB are stored as one PNG, which loses nothing (`datasets.band_pictures.encode_bands`). Only Pillow
    and NumPy do the work, no operation of TensorFlow: a forked process can run this.

    Args:
        example: {"id", "image": path, "label": integers [H, W] or [H, W, 1]}, and "mask", the path to name in errors.
        info: the `DatasetInfo` whose classes the labels are, with the bands of its pictures.
        rotation: what to do with EXIF rotation that the labels' size does not settle.
        sums: what a picture of other bands than RGB is added to; None for nothing.

    Returns:
        (the serialized `tf.train.Example`, the pixel counts [256] of the labels 0…255).

    Raises:
        DatasetError: an unreadable image, labels of another size than the image, or values outside the class list; an
            example of another form; an id that is no text.
    """
    mask_name, labels = _checked(example)
    labels = labels[..., 0] if labels.ndim == 3 and labels.shape[-1] == 1 else labels
    counts = _count_values(labels, info, mask_name)
    if counts[IGNORE_LABEL] == labels.size:
        rotation = "stored"  # no label can be in the wrong place
    encoded, image_format, (height, width) = _picture(example["image"], labels.shape, rotation, info.bands, sums)
    if labels.shape != (height, width):
        raise DatasetError(
            f"mask {mask_name} is {_size(labels.shape)}, its image {example['image']} is {_size((height, width))} "
            f"(width×height); both must be of one size"
        )
    features = {
        IMAGE: _bytes(encoded),
        IMAGE_FORMAT: _bytes(image_format.encode()),
        HEIGHT: _integer(height),
        WIDTH: _integer(width),
        FILENAME: _bytes(str(example["id"]).encode()),
        LABELS: _bytes(encode_labels(labels.astype(np.uint8, copy=False))),
        LABELS_FORMAT: _bytes(b"png"),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    serialized = example.SerializeToString(deterministic=True)  # else each version of protobuf has its own order
    return serialized, counts


def _checked(example):
    """What a mask is called, and its labels: of an example of the form that a source of one's own is to give."""
    fields = example if isinstance(example, Mapping) else {}
    name, image, labels = fields.get("id"), fields.get("image"), np.asarray(fields.get("label"))
    if not isinstance(name, str) or not isinstance(image, str | os.PathLike | InAFile) or labels.dtype.kind not in "iu":
        raise DatasetError(
            f"an example must be {{'id': text, 'image': path, 'label': array of integers}}, not {shortened(example)}"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"image {image}: its name is no text in UTF-8; give it another") from None
    return fields.get("mask", f"of {image}"), labels


def _picture(place, labels_shape, rotation, bands, sums):
    """(bytes, format, (height, width)) of a picture as it is stored."""
    if bands.is_rgb:
        return read_picture(place, labels_shape, rotation=rotation)
    values = read_bands(place, bands)
    if sums is not None:
        sums.add(values)
    return encode_bands(values), "png", values.shape[:2]


def encode_labels(labels: np.ndarray) -> bytes:
    """Labels uint8 [H, W] as a grayscale PNG: lines as differences, runs of equal bytes packed.

    Written here and not by Pillow, whose search for the best filter of each line takes thrice the time and gains
    nothing on label maps.
    """
    height, width = labels.shape
    lines = np.empty((height, width + 1), np.uint8)
    lines[:, 0] = UP
    lines[0, 1:] = labels[0]
    np.subtract(labels[1:], labels[:-1], out=lines[1:, 1:])  # modulo 256, as PNG asks
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packer.compress(lines) + packer.flush()), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def without_labels(serialized: bytes) -> bytes:
    """A serialized example with every pixel ignored; its picture and all else are as they were."""
    example = tf.train.Example.FromString(serialized)
    features = example.features.feature
    height, width = (features[side].int64_list.value[0] for side in (HEIGHT, WIDTH))
    features[LABELS].CopyFrom(_bytes(encode_labels(np.full((height, width), IGNORE_LABEL, np.uint8))))
    return example.SerializeToString(deterministic=True)


def check_labels(labels: np.ndarray, info: DatasetInfo, mask_name: str | os.PathLike) -> None:
    """Raises DatasetError for labels outside 0…K−1 and 255, with the values and their pixel counts."""
    wrong = ((labels < 0) | (labels >= info.num_classes)) & (labels != IGNORE_LABEL)
    if not wrong.any():
        return
    values, counts = np.unique(labels[wrong], return_counts=True)
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values[:5], counts[:5], strict=True))
    more = f" and {len(values) - 5} more values" if len(values) > 5 else ""
    raise DatasetError(
        f"mask {mask_name}: {counts.sum()} of {labels.size} pixels lie outside the classes "
        f"0…{info.num_classes - 1} and 255: {shown}{more}; --label_map says which labels the values "
        "of a folder's masks are"
    )


def parse_example(serialized: tf.Tensor | bytes) -> dict[str, tf.Tensor]:
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


def decode_image(parsed: Mapping[str, tf.Tensor], bands: Bands = RGB) -> tf.Tensor:
    """The picture of a parsed example: uint8 [H, W, C], or of 16 bits float32; 0…255 in either case."""
    if not bands.is_rgb:
        values = decode_bands(parsed, bands)
        return values if bands.depth == 8 else tf.cast(values, tf.float32) / bands.unit
    return tf.cond(
        parsed["format"] == "jpeg",
        lambda: tf.io.decode_jpeg(parsed["encoded"], channels=3, dct_method=JPEG_TRANSFORM),
        lambda: tf.io.decode_png(parsed["encoded"], channels=3),
    )


def decode_bands(parsed: Mapping[str, tf.Tensor], bands: Bands) -> tf.Tensor:
    """The picture of other bands than RGB as `band_pictures.encode_bands` stored it: uint8 or uint16 [H, W, C]."""
    planes = tf.io.decode_png(parsed["encoded"], channels=1, dtype=tf.as_dtype(f"uint{bands.depth}"))
    return tf.transpose(tf.reshape(planes, [bands.number, -1, tf.shape(planes)[1]]), [1, 2, 0])


def decode_labels(parsed: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The labels of a parsed example: uint8 [H, W]."""
    return tf.io.decode_png(parsed["labels_encoded"], channels=1)[..., 0]


def is_of_one_size(parsed: Mapping[str, tf.Tensor], labels: tf.Tensor, bands: Bands = RGB) -> tf.Tensor:
    """Whether a parsed example's picture, by its header, its labels [H, W] and its stated size agree: bool []."""
    picture = _picture_size(parsed, bands)
    stated = tf.stack([parsed["height"], parsed["width"]])
    return tf.reduce_all(tf.shape(labels) == stated) & tf.reduce_all(picture == stated)


def of_one_size(parsed: Mapping[str, tf.Tensor], bands: Bands = RGB) -> dict[str, tf.Tensor]:
    """A parsed example whose picture and mask have the stated size, by their headers: nothing is decoded.

    Raises:
        tf.errors.InvalidArgumentError: they do not; the message has the file name.
    """
    seen, labeled = _picture_size(parsed, bands), stored_size(parsed["labels_encoded"], "png")
    with tf.control_dependencies([_assert_sizes(parsed, seen, labeled)]):
        return {name: tf.identity(values) for name, values in parsed.items()}


def of_classes(labels: tf.Tensor, num_classes: int, filename: tf.Tensor) -> tf.Tensor:
    """The labels, of any shape, which are all of 0…K−1 and 255.

    Raises:
        tf.errors.InvalidArgumentError: they are not; the message has the file name.
    """
    beyond = tf.reduce_max(tf.where(labels == IGNORE_LABEL, tf.zeros_like(labels), labels))
    known = tf.debugging.Assert(
        tf.cast(beyond, tf.int32) < num_classes,
        ["the record of", filename, "has the label", beyond, "of", num_classes, f"classes{CONVERT_AGAIN}"],
    )
    with tf.control_dependencies([known]):
        return tf.identity(labels)


def stored_size(encoded: tf.Tensor, image_format: tf.Tensor | str) -> tf.Tensor:
    """(height, width) of a JPEG or PNG file by its header: int32 [2]."""
    return tf.cond(
        tf.equal(image_format, "jpeg"),
        lambda: tf.io.extract_jpeg_shape(encoded)[:2],
        lambda: tf.reverse(tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False), [0]),
    )


def _picture_size(parsed, bands):
    """(height, width) of the picture of a parsed example by its header: int32 [2]."""
    stored = stored_size(parsed["encoded"], parsed["format"])
    return stored if bands.is_rgb else stored // [bands.number, 1]


def _assert_sizes(parsed, seen, labeled):
    """An assertion that picture, mask and stated size are the same."""
    stated = tf.stack([parsed["height"], parsed["width"]])
    sizes = ["has a picture of (height, width)", seen, ", a mask of", labeled, "and states", stated, CONVERT_AGAIN]
    fits = tf.reduce_all(seen == labeled) & tf.reduce_all(seen == stated)
    return tf.debugging.Assert(fits, ["the record of", parsed["filename"], *sizes])


def decode_example(parsed: Mapping[str, tf.Tensor], bands: Bands = RGB) -> dict[str, tf.Tensor]:
    """The complete example: {"image": float32 [H, W, C], 0…255, "labels": int32 [H, W]}."""
    image = tf.ensure_shape(decode_image(parsed, bands), [None, None, bands.number])
    return {"image": tf.cast(image, tf.float32), "labels": tf.cast(decode_labels(parsed), tf.int32)}


def decode_fitting(parsed: Mapping[str, tf.Tensor], num_classes: int, bands: Bands = RGB) -> dict[str, tf.Tensor]:
    """`decode_example` of a record that is what conversion writes.

    Raises:
        tf.errors.InvalidArgumentError: picture, labels and stated size differ, or the labels are not all of 0…K−1 and
            255; the message has the file name.
    """
    example = decode_example(parsed, bands)
    fits = _assert_sizes(parsed, tf.shape(example["image"])[:2], tf.shape(example["labels"]))
    labels = of_classes(example["labels"], num_classes, parsed["filename"])
    with tf.control_dependencies([fits]):
        return {"image": tf.identity(example["image"]), "labels": tf.identity(labels)}


def _count_values(labels, info, mask_name):
    """Pixel counts [256] of labels that `check_labels` accepts."""
    if labels.dtype != np.uint8 or labels.ndim != 2:
        check_labels(labels, info, mask_name)
        return np.bincount(labels.ravel().astype(np.uint8), minlength=256)
    counts = np.array(Image.fromarray(labels).histogram())  # several times as fast as NumPy's
    if counts[info.num_classes : IGNORE_LABEL].any():
        check_labels(labels, info, mask_name)
    return counts


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _size(shape):
    return "×".join(str(n) for n in (*reversed(shape[:2]), *shape[2:]))


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integer(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
