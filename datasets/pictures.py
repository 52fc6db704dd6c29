"""Image files as they go into records: checked completely, and kept byte for byte where possible."""

import io
import os
import pathlib

from PIL import Image, ImageOps

from deeplab_ksac.datasets.info import DatasetError

SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
SCAN, END_OF_JPEG, END_OF_PNG = b"\xff\xda", b"\xff\xd9", b"IEND\xaeB`\x82"
BIT_DEPTH = 24  # where a PNG's header has it
ORIENTATION = 0x0112  # EXIF: 1 as stored, 2…4 mirrored or upside down, 5…8 turned by a quarter
ROTATIONS = ("refuse", "stored", "upright")  # the first unless told otherwise
JPEG_QUALITY = 95  # of the pictures that have to be turned


def read_picture(
    path: str | os.PathLike, labels_shape: tuple[int, int], *, rotation: str = ROTATIONS[0]
) -> tuple[bytes, str, tuple[int, int]]:
    """The picture of a record: (bytes, "jpeg" or "png", (height, width)).

    The bytes are the file's, also of grayscale and CMYK JPEGs and of PNGs with 16 bits (TensorFlow's decoder makes them
    8-bit RGB). The one exception is EXIF rotation, which TensorFlow's decoder ignores: labels that have the size of the
    turned picture were drawn on it, so the picture is turned and encoded anew (JPEG: quality 95, no chroma
    subsampling). Labels of the stored size leave the picture as it is stored, if the two sizes differ.

    Args:
        path: a JPEG or PNG file.
        labels_shape: (height, width) of its labels.
        rotation: what to do where the size of the labels does not tell whether EXIF rotation was applied before they
            were drawn: "refuse" raises an error, "stored" keeps the picture, "upright" turns it.

    Raises:
        DatasetError: a file that cannot be read or decoded, 16 bits of which only the lower eight are used, or EXIF
            rotation that the labels' size does not settle.
    """
    path = pathlib.Path(path)
    encoded, kind = _read_bytes(path)
    try:
        image, stored = _decode(encoded, kind)
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
        raise DatasetError(
            f"image {path} is truncated or corrupt: its {len(encoded)} bytes do not decode as {kind.upper()}"
        ) from error
    if kind == "png" and encoded[BIT_DEPTH] == 16:
        _require_upper_bytes(image, path)
    orientation = _orientation(image)
    if orientation == 1 or not _is_to_be_turned(path, orientation, stored, labels_shape, rotation):
        return encoded, kind, stored
    return _turned(encoded, kind)


def _read_bytes(path):
    """The content of a file and its format, by its first bytes."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"image {path} cannot be read: {error.strerror}") from error
    kind = next((name for start, name in SIGNATURES.items() if encoded.startswith(start)), None)
    if kind is None:
        found = "is empty" if not encoded else f"begins with {encoded[:8]!r}"
        raise DatasetError(f"image {path} is neither JPEG nor PNG: it {found}")
    return encoded, kind


def _decode(encoded, kind):
    """(the picture, decoded to its last byte, its (height, width)).

    A JPEG is decoded at an eighth of its size: all of the file is read for that, in two thirds of the time.
    """
    if kind == "jpeg":
        if encoded.rfind(END_OF_JPEG) < encoded.rfind(SCAN):  # TensorFlow's decoder insists on it, Pillow does not
            raise ValueError("no end marker")
    else:
        if END_OF_PNG not in encoded:
            raise ValueError("no end chunk")
        Image.open(io.BytesIO(encoded)).verify()  # the checksums, which loading does not look at
    image = Image.open(io.BytesIO(encoded), formats=(kind,))
    stored = (image.height, image.width)
    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
    image.load()
    return image, stored


def _orientation(image):
    """The EXIF orientation, 1 where there is none."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # what cannot be parsed turns nothing
        return 1
    return orientation if orientation in range(2, 9) else 1


def _require_upper_bytes(image, path):
    """Raises DatasetError for 16-bit samples all below 256: the decoder keeps the upper byte, so all would be black."""
    if image.mode.startswith("I"):  # one channel, which Pillow keeps whole; of several it keeps the upper bytes
        largest = image.getextrema()[1] >> 8
    else:
        largest = max(high for (_, high), band in zip(image.getextrema(), image.getbands(), strict=True) if band != "A")
    if largest == 0:
        raise DatasetError(
            f"image {path} has 16 bits a channel and no value above 255, so that its upper bytes, which are what is "
            f"read, are black; expected the whole range 0…65535, or 8 bits"
        )


def _is_to_be_turned(path, orientation, stored, labels_shape, rotation):
    shown = stored[::-1] if orientation >= 5 else stored
    if stored != shown:
        return tuple(labels_shape) == shown
    if rotation == "refuse":
        raise DatasetError(
            f"image {path} has EXIF orientation {orientation}, and the size of its mask does not tell for which form "
            f"the mask was drawn; say which (--rotation=stored or --rotation=upright), or save it without"
        )
    return rotation == "upright"


def _turned(encoded, kind):
    """The picture turned as its EXIF orientation says, encoded without it."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    buffer = io.BytesIO()
    if kind == "jpeg":
        image = image if image.mode == "L" else image.convert("RGB")
        image.save(buffer, "jpeg", quality=JPEG_QUALITY, subsampling=0)
    else:
        image.save(buffer, "png")
    return buffer.getvalue(), kind, (image.height, image.width)
