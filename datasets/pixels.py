"""The pixels that a picture file shows: one rule for conversion, prediction, figures and submissions.

    gray, 1 bit, palette    the colors they stand for
    more than 8 bits        the upper eight of sixteen, or of a TIFF's twelve; refused where all of these are below 16,
                            as of sixteen that hold twelve: the range is unknown
    transparent             laid on white
    CMYK, YCbCr, Lab        converted to RGB
    EXIF orientation        upright; conversion leaves that to the size of the mask
    floating point          refused: the range is unknown

Records hold what this gives, and so does `deeplab_ksac.export.decoding` inside a served graph. TensorFlow's JPEG
decoder, with which both are read, agrees with Pillow's to the bit where it is told to (`encoding.JPEG_TRANSFORM`).
"""

import contextlib
import io
import os
import typing
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.storage import is_remote

TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112  # EXIF: 1 as stored, 2…4 mirrored or upside down, 5…8 turned by a quarter
TURN_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_PLANES = 256, 257, 258, 262, 284  # tags
WHITE_IS_ZERO = 0  # of TIFF_PHOTOMETRIC
APART = 2  # of TIFF_PLANES: a channel's plane after another's
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DEEP = "bits a channel"  # in the `info` of an opened picture: 12 or 16
DARKEST = 16  # what the upper byte of some pixel must reach; twelve bits that are stored in sixteen do not
GRAY_FACTORS = {"1": 255, "L;2": 85, "L;4": 17}  # by which Pillow multiplies the values of gray PNGs of few bits


class UnknownRangeError(ValueError):
    """A picture of which it is not known which values are black and white, or whose values Pillow misreads."""


@typing.runtime_checkable
class InAFile(typing.Protocol):
    """A picture that is a part of another file; its text names the place. It is taken wherever a path is."""

    def read_bytes(self) -> bytes:
        """The bytes of the picture."""


@contextlib.contextmanager
def opened(path: str | os.PathLike | InAFile) -> Iterator[Image.Image]:
    """A picture file, or one inside of another file, open in Pillow.

    Raises:
        OSError: no regular file, more pixels than `PIL.Image.MAX_IMAGE_PIXELS` allows, or what goes wrong with the
            picture meanwhile.
        UnknownRangeError: as `rgb`.
    """
    require_file(path)
    try:
        image = _open(path if is_path(path) else io.BytesIO(path.read_bytes()))
        with contextlib.closing(image):  # older Pillow's own `with` fails on one that is closed already
            yield image
    except (OSError, UnknownRangeError, DatasetError):  # the last are the caller's own
        raise
    except Image.DecompressionBombError as error:
        raise OSError(too_large(error)) from error
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
        raise OSError(f"{error} ({type(error).__name__})") from error


def opened_bytes(encoded: bytes, kind: str) -> Image.Image:
    """The content of a picture file of one of Pillow's formats, open; raises what Pillow raises, or as `opened`."""
    return _open(io.BytesIO(encoded), formats=(kind,))


def is_path(place: object) -> bool:
    """Whether a picture is a file of its own on this machine; one in an object store is read as one in another file."""
    return isinstance(place, str | os.PathLike) and not is_remote(place)


def require_file(path: str | os.PathLike | InAFile) -> None:
    """Raises OSError for a pipe, socket or device, which could keep its reader waiting for ever."""
    if not is_path(path):
        return
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is no regular file (a folder, pipe, socket or device)")


def too_large(error: Image.DecompressionBombError) -> str:
    """The message for a picture above Pillow's limit."""
    said = str(error).partition(", could be")[0]
    return f"{said}; --max_megapixels raises it (in Python, PIL.Image.MAX_IMAGE_PIXELS is half of it)"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1…8 of an open picture; 1 where there is none, and of a TIFF only until it is loaded."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # what cannot be parsed turns nothing
        return 1
    return found if found in range(2, 9) else 1


def stored_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an open picture that is not loaded yet, as it is stored, whatever its EXIF orientation."""
    if image.format == "TIFF":  # Pillow 11 and later say how large it will be when it is turned
        return image.tag_v2[TIFF_HEIGHT], image.tag_v2[TIFF_WIDTH]
    return image.height, image.width


def as_stored(image: Image.Image) -> tuple[Image.Image, int]:
    """(An open picture, loaded and not turned, its EXIF orientation); a TIFF must not be loaded yet."""
    if image.format != "TIFF":
        image.load()
        return image, orientation(image)
    turned = orientation(image)
    _load_tiff(image)
    return (image if turned == 1 else image.transpose(TURN_BACK[turned])), turned


def upright(image: Image.Image) -> Image.Image:
    """An open picture, loaded and turned as its EXIF orientation says."""
    if image.format == "TIFF":
        _load_tiff(image)
        return image
    image.load()
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)


def stored_as(image: Image.Image) -> str:
    """Pillow's word for the values of a PNG that is opened and not yet loaded, such as "L;2" for gray of two bits."""
    arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, str) else str(arguments[0])


def is_transparent(image: Image.Image) -> bool:
    """Whether a pixel of a loaded picture is not opaque."""
    if image.mode in DEEP_MODES:
        return "transparency" in image.info
    if image.mode not in TRANSPARENT_MODES and "transparency" not in image.info:
        return False
    return image.convert("RGBA").getextrema()[3][0] < 255


def require_upper_bytes(image: Image.Image) -> None:
    """Raises UnknownRangeError for 16-bit samples that are all below 4096: what is read would be nearly black."""
    if image.mode in DEEP_MODES:
        largest = image.getextrema()[1] >> _lower_bits(image)
    elif DEEP in image.info:  # of several channels Pillow keeps the upper bytes
        bands = [band.getextrema() for name, band in zip(image.getbands(), image.split(), strict=True) if name != "A"]
        largest = max(high for _, high in bands)
    else:
        return
    if largest < DARKEST:
        bits = image.info.get(DEEP, 16)
        raise UnknownRangeError(
            f"{bits} bits a channel and no value above {((max(largest, 0) + 1) << (bits - 8)) - 1}, so that its upper "
            f"bytes, which are what is read, are nearly black; scale it to 0…{2**bits - 1} or save 8 bits (convert "
            "takes gray ones as they are with --channels=1)"
        )


def rgb(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode as 8-bit RGB.

    Raises:
        UnknownRangeError: floating-point pixels; 16 bits of which only the lower twelve are used; integers of more.
    """
    require_upper_bytes(image)
    if image.mode == "F":
        raise UnknownRangeError("floating-point pixels: the range is unknown; images of 8 or 16 bits are read")
    if image.mode in DEEP_MODES:
        return _upper_byte(image)
    if image.mode in TRANSPARENT_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _upper_byte(image):
    """16-bit gray as RGB; the value that a PNG calls transparent is white."""
    values = np.asarray(image)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise UnknownRangeError("integers beyond 0…65535: the range is unknown; images of 8 or 16 bits are read")
    gray = (values >> _lower_bits(image)).astype(np.uint8)
    if "transparency" in image.info:
        gray[values == image.info["transparency"]] = 255
    return Image.fromarray(gray).convert("RGB")


def _lower_bits(image):
    """How many bits of a deep gray picture are below the eight that are read."""
    return image.info.get(DEEP, 16) - 8


def _open(file, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # twice as much is an error
        image = Image.open(file, **options)
    _note_depth(image)
    return image


def _load_tiff(image):
    """Loads a page, which turns it as its EXIF orientation says, and notes what its mode does not tell."""
    stated, apart = image.tag_v2.get(TIFF_BITS, ()), image.tag_v2.get(TIFF_PLANES) == APART
    bits = next((bits for bits in (12, 16) if bits in stated), None)
    if bits == 16 and apart and image.info.get("compression") == "raw":
        raise UnknownRangeError(
            "16 bits a channel and each channel by itself, uncompressed, which Pillow misreads; save it with the "
            "channels of a pixel side by side, or compressed"
        )
    if bits and image.tag_v2.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO:
        raise UnknownRangeError(
            f"{bits} bits a channel of which 0 is white, which Pillow misreads; save it with 0 as black"
        )
    image.info.pop(DEEP, None)  # the page before may have been another
    if bits:
        image.info[DEEP] = bits
    image.load()


def _note_depth(image):
    """Notes what a PNG's mode does not tell, and makes its transparent value one of those that Pillow will give."""
    if image.format != "PNG" or not image.tile:
        return
    key = image.info.get("transparency")
    if stored_as(image).endswith(";16B"):
        image.info[DEEP] = 16
        if key is not None and image.mode == "RGB":
            raise UnknownRangeError("a transparent color of 16 bits a channel; save the picture with an alpha channel")
    if isinstance(key, int):
        image.info["transparency"] = key * GRAY_FACTORS.get(stored_as(image), 1)
