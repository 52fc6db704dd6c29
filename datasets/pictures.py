"""Image files as they go into records: checked completely, and kept byte for byte where possible."""

import dataclasses
import io
import os
import pathlib
import re

from PIL import Image, ImageOps

from deeplab_ksac.datasets import pixels
from deeplab_ksac.datasets.info import DatasetError

SIGNATURES = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"BM": "bmp",
    b"RIFF": "webp",
}
BIG_TIFF = (b"II+\0", b"MM\0+")
KEPT = ("jpeg", "png")  # what TensorFlow's decoders read; the others are stored as PNG
END_OF_PNG = b"IEND\xaeB`\x82"
MARKER, END_OF_JPEG = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])"), b"\xd9"  # those inside of a scan's data are none
ROTATIONS = ("refuse", "stored", "upright")  # the first unless told otherwise
JPEG_QUALITY = 95  # of the pictures that have to be turned


def check_rotation(rotation: str) -> None:
    """Raises ValueError for what is none of `ROTATIONS`."""
    if rotation not in ROTATIONS:
        raise ValueError(f"rotation must be one of {', '.join(ROTATIONS)}, not {rotation!r}")


def read_picture(
    path: str | os.PathLike | pixels.InAFile, labels_shape: tuple[int, int], *, rotation: str = ROTATIONS[0]
) -> tuple[bytes, str, tuple[int, int]]:
    """The picture of a record: (bytes, "jpeg" or "png", (height, width)).

    What TensorFlow's decoder makes of it is what `datasets.pixels` says that the file shows. The bytes are the file's,
    also of grayscale and CMYK JPEGs and of PNGs with 16 bits. Encoded anew, as PNG, are TIFF, BMP and WebP, and
    transparent PNGs, which are laid on white. EXIF rotation is ignored by that decoder: labels that have the size of
    the turned picture were drawn on it, so the picture is turned and encoded anew (JPEG: quality 95, no chroma
    subsampling). Labels of the stored size leave the picture as it is stored, if the two sizes differ.

    Args:
        path: a JPEG, PNG, TIFF, BMP or WebP file, known by its first bytes, or such a picture inside of another file.
        labels_shape: (height, width) of its labels.
        rotation: what to do where the size of the labels does not tell whether EXIF rotation was applied before they
            were drawn: "refuse" raises an error, "stored" keeps the picture, "upright" turns it.

    Raises:
        DatasetError: a file that cannot be read or decoded, 16 bits of which only the lower twelve are used, or EXIF
            rotation that the labels' size does not settle.
    """
    path = pathlib.Path(path) if pixels.is_path(path) else path
    encoded, kind = read_bytes(path)
    try:
        found = _decode(encoded, kind)
    except Image.DecompressionBombError as error:
        raise DatasetError(f"image {path}: {pixels.too_large(error)}") from error
    except pixels.UnknownRangeError as error:
        raise DatasetError(f"image {path} has {error}") from error
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
        other = ", or a TIFF of other bands than RGB, which --channels reads" if kind == "tiff" else ""
        raise DatasetError(
            f"image {path} is truncated or corrupt: its {len(encoded)} bytes do not decode as {kind.upper()}{other}"
        ) from error
    if kind != "jpeg" and found.frames > 1:  # a camera's JPEG may hold its preview too
        raise DatasetError(f"image {path} holds {found.frames} pictures; save the one that its mask belongs to alone")
    turned = found.orientation != 1 and _is_to_be_turned(path, found, labels_shape, rotation)
    if kind not in KEPT or pixels.is_transparent(found.image):
        image = pixels.upright(pixels.opened_bytes(encoded, kind)) if turned else found.image
        return _shown(image, path)
    return _turned(encoded, kind) if turned else (encoded, kind, found.size)


def read_bytes(path: str | os.PathLike | pixels.InAFile) -> tuple[bytes, str]:
    """The content of a picture file and its format, one of `SIGNATURES`, by its first bytes.

    Raises:
        DatasetError: the file cannot be read, or is of another format.
    """
    path = pathlib.Path(path) if pixels.is_path(path) else path
    try:
        pixels.require_file(path)
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"image {path} cannot be read: {error.strerror or error}") from error
    kind = next((name for start, name in SIGNATURES.items() if encoded.startswith(start)), None)
    if kind is None:
        found = "is empty" if not encoded else f"begins with {encoded[:8]!r}"
        found = "is a BigTIFF; save it as a plain TIFF" if encoded.startswith(BIG_TIFF) else found
        raise DatasetError(f"image {path} is neither JPEG nor PNG, TIFF, BMP or WebP: it {found}")
    return encoded, kind


def check_png(encoded: bytes) -> None:
    """Raises what Pillow raises for a PNG that is cut or whose checksums are wrong, which loading does not look at."""
    if END_OF_PNG not in encoded:
        raise ValueError("no end chunk")
    Image.open(io.BytesIO(encoded)).verify()


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """A picture as it is stored; a JPEG at an eighth of its size."""

    image: Image.Image
    size: tuple[int, int]  # (height, width)
    orientation: int
    frames: int


def _decode(encoded, kind):
    """The `_Decoded` picture, read to its last byte.

    A JPEG is decoded at an eighth of its size: all of the file is read for that, in two thirds of the time.
    """
    if kind == "jpeg":
        _require_end_of_jpeg(encoded)
    elif kind == "png":
        check_png(encoded)
    with pixels.opened_bytes(encoded, kind) as image:
        size, frames = pixels.stored_size(image), getattr(image, "n_frames", 1)
        if kind == "jpeg":
            image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
        stored, orientation = pixels.as_stored(image)
        pixels.require_upper_bytes(stored)
    return _Decoded(stored, size, orientation, frames)


def _require_end_of_jpeg(encoded):
    """Raises ValueError for a JPEG without its end marker, on which TensorFlow's decoder insists and Pillow does not.

    Segments are gone through one by one: those in front hold previews with an end of their own, and behind the end
    cameras append films and further pictures.
    """
    marker = MARKER.search(encoded, 2)
    while marker is not None and marker[1] != END_OF_JPEG:
        length = int.from_bytes(encoded[marker.end() : marker.end() + 2], "big")
        marker = MARKER.search(encoded, marker.end() + length)
    if marker is None:
        raise ValueError("no end marker")


def _is_to_be_turned(path, found, labels_shape, rotation):
    stored, orientation = found.size, found.orientation
    shown = stored[::-1] if orientation >= 5 else stored
    if stored != shown:
        return tuple(labels_shape) == shown
    if rotation == "refuse":
        raise DatasetError(
            f"image {path} has EXIF orientation {orientation}, and the size of its mask does not tell for which form "
            f"the mask was drawn; say which (--rotation=stored or --rotation=upright), or save it without"
        )
    return rotation == "upright"


def _shown(image, path):
    """A picture that TensorFlow's decoders do not read as it is shown, as PNG."""
    try:
        shown = pixels.rgb(image)
    except pixels.UnknownRangeError as error:
        raise DatasetError(f"image {path} has {error}") from error
    buffer = io.BytesIO()
    shown.save(buffer, "png", exif=b"")  # it is turned already, or not to be turned
    return buffer.getvalue(), "png", (shown.height, shown.width)


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
