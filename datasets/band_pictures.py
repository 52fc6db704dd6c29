"""Pictures of other bands than RGB of 8 bits, read as they are stored: one rule for conversion and prediction.

gray, 1 to 8 bits       1 band of 8 bits; black is 0, white 255
gray, 16 bits           1 band of 16 bits
gray and alpha          2 bands; alpha is a band like the others
RGB, RGB and alpha      3 and 4 bands, of the 8 or 16 bits that the file has
TIFF of more samples    as many bands, interleaved or one after another; `tifffile` reads them
palette, CMYK, YCbCr    refused: their values are no bands
EXIF orientation        refused, unless it is upright
"""

import importlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, TiffImagePlugin

from deeplab_ksac.bands import Bands, MeasuredBands
from deeplab_ksac.datasets import pixels
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.pictures import check_png, read_bytes

OF_PNG = {  # Pillow's word for what is stored -> (bands, bits)
    **dict.fromkeys(("1", "L;2", "L;4", "L"), (1, 8)),
    **{"I;16B": (1, 16), "LA": (2, 8), "LA;16B": (2, 16), "RGB": (3, 8), "RGB;16B": (3, 16)},
    **{"RGBA": (4, 8), "RGBA;16B": (4, 16)},
}
OF_OTHERS = {"1": (1, 8), "L": (1, 8), "RGB": (3, 8), "RGBA": (4, 8)}  # Pillow's modes -> (bands, bits)
GRAY_TIFF = ("1", "L", "I;16", "I;16B", "I;16L")  # Pillow's modes of a single sample
TIFF_HEADER, SAMPLES = 8, 277  # its bytes; the tag of how many samples there are in a pixel
HEADER, DEPTH, COLOR_TYPE = slice(16, 29), 8, 9  # of a PNG, in bytes: the header's content, and places in it
RGBA_TYPE = 6
LARGEST = 2**29  # values of a picture that TensorFlow's PNG decoder takes


class _UnusableError(ValueError):
    """Why a picture cannot be used: the words behind its path."""


def find_bands(place: str | os.PathLike | pixels.InAFile, number: int) -> Bands:
    """The bands of a picture that has `number` of them.

    Raises:
        DatasetError: as `read_bands`.
    """
    return Bands(number, 8 * _read(place, number, None).dtype.itemsize)


def read_bands(place: str | os.PathLike | pixels.InAFile, bands: Bands) -> np.ndarray:
    """A picture as it is stored: uint8 or uint16 [H, W, C].

    Args:
        place: a PNG, TIFF, JPEG, BMP or WebP file, known by its first bytes, or such a picture inside of another file.
        bands: what it has.

    Raises:
        DatasetError: a file that cannot be read or decoded, or that holds something else; the message names both.
    """
    return _read(place, bands.number, bands.depth)


def encode_bands(values: np.ndarray) -> bytes:
    """Bands uint8 or uint16 [H, W, C] as one gray PNG [C · H, W] of as many bits, one band below another."""
    height, width, number = values.shape
    buffer = io.BytesIO()
    Image.fromarray(values.transpose(2, 0, 1).reshape(number * height, width)).save(buffer, "png")
    return buffer.getvalue()


class BandSums:
    """What means and deviations are of: exact sums over all pixels of pictures of `number` bands."""

    def __init__(self, number: int):
        self.pixels, self.values, self.squares = 0, [0] * number, [0] * number

    def add(self, values: np.ndarray) -> None:
        """Adds a picture, [H, W, C]."""
        self.pixels += values[..., 0].size
        for band in range(values.shape[-1]):
            found = values[..., band].astype(np.uint64)
            self.values[band] += int(found.sum())
            self.squares[band] += int(np.square(found).sum())

    @classmethod
    def of(cls, bands: Bands) -> "BandSums | None":
        """Sums for pictures of these bands; None for RGB, of which nothing is measured."""
        return None if bands.is_rgb else cls(bands.number)

    def as_tuples(self) -> tuple[tuple[int, int, int], ...]:
        """(pixels, sum of the values, sum of their squares) of each band."""
        pairs = zip(self.values, self.squares, strict=True)
        return tuple((self.pixels, values, squares) for values, squares in pairs)


def measured(bands: Bands, sums: Sequence[Sequence[tuple[int, int, int]]]) -> MeasuredBands:
    """The bands with mean and deviation, of 0…255, from `BandSums.as_tuples` of one or more parts.

    A band that has one value everywhere gets the deviation 1: normalized it is 0.
    """
    mean, deviation = [], []
    for parts in zip(*sums, strict=True):
        pixels, values, squares = (sum(numbers) for numbers in zip(*parts, strict=True))
        spread = pixels * squares - values**2  # in whole numbers, so that nothing is rounded before the root
        mean.append(values / pixels / bands.unit)
        deviation.append(spread**0.5 / pixels / bands.unit if spread else 1.0)
    return MeasuredBands(bands.number, bands.depth, tuple(mean), tuple(deviation))


def _read(place, number, depth):
    """A picture of so many bands of so many bits, None for 8 or 16."""
    encoded, kind = read_bytes(place)
    try:
        values = _DECODERS.get(kind, _of_another)(encoded, kind, number, depth)
        _require(values.shape[-1], 8 * values.dtype.itemsize, number, depth)
    except _UnusableError as error:
        raise DatasetError(f"image {place} {error}") from error
    except Image.DecompressionBombError as error:
        raise DatasetError(f"image {place}: {pixels.too_large(error)}") from error
    except pixels.UnknownRangeError as error:
        raise DatasetError(f"image {place} has {error}") from error
    except Exception as error:  # Pillow and tifffile raise a dozen unrelated types on broken files
        raise DatasetError(
            f"image {place} is truncated or corrupt: its {len(encoded)} bytes do not decode as {kind.upper()} "
            f"({type(error).__name__})"
        ) from error
    if values.size >= LARGEST:
        raise DatasetError(
            f"image {place} has {values.size} values in its bands, and {LARGEST - 1} are the most; cut it to tiles"
        )
    return values


def _require(found, bits, number, depth):
    """Raises _UnusableError for another number of bands or bits than is wanted."""
    if found != number or (depth is not None and bits != depth):
        wanted = f"{number} of 8 or 16 bits (--channels)" if depth is None else Bands(number, depth).describe()
        raise _UnusableError(f"has {Bands(found, bits).describe()}; expected {wanted}")


def _require_plain(image):
    """Raises _UnusableError for an open picture of several frames, or one that is not stored upright."""
    if getattr(image, "n_frames", 1) > 1:
        raise _UnusableError(f"holds {image.n_frames} pictures; save the one that its mask belongs to alone")
    if pixels.orientation(image) != 1:
        raise _UnusableError(f"has EXIF orientation {pixels.orientation(image)}; save it upright")


def _of_png(encoded, kind, number, depth):
    check_png(encoded)
    with pixels.opened_bytes(encoded, kind) as image:
        stored = pixels.stored_as(image)  # before the next line, which loads it
        _require_plain(image)
        if stored not in OF_PNG:
            raise _UnusableError(f"holds colors of a palette, no bands; expected {number}")
        _require(*OF_PNG[stored], number, depth)
        if stored in ("1", "L;2", "L;4", "L", "RGB", "RGBA", "LA"):
            gray = OF_PNG[stored][0] == 1
            return _array(image.convert("L") if gray else image)
    if stored == "I;16B":
        return _array(pixels.opened_bytes(encoded, kind)).astype(np.uint16)
    return _of_deep_png(encoded, kind, stored)


def _of_deep_png(encoded, kind, stored):
    """Several channels of 16 bits, of which Pillow gives upper bytes alone.

    Gray and alpha are read as what takes as many bytes a pixel, RGBA of 8 bits; RGB and RGBA are read twice, for upper
    bytes and for lower ones.
    """
    if stored == "LA;16B":
        header = bytearray(encoded[HEADER])
        header[DEPTH], header[COLOR_TYPE] = 8, RGBA_TYPE
        checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
        whole = encoded[: HEADER.start] + header + checksum + encoded[HEADER.stop + 4 :]
        halves = _array(pixels.opened_bytes(whole, kind))
        upper, lower = halves[..., ::2], halves[..., 1::2]
    else:
        upper, lower = (_bytes_of(encoded, kind, f"{stored[:-1]}{order}") for order in ("B", "L"))
    return upper.astype(np.uint16) << 8 | lower


def _bytes_of(encoded, kind, stored):
    """The picture, its values unpacked as `stored` says."""
    with pixels.opened_bytes(encoded, kind) as image:
        image.tile = [(*image.tile[0][:3], stored)]
        image.load()
        return np.asarray(image)


def _of_tiff(encoded, kind, number, depth):
    """A single sample by Pillow, more by tifffile."""
    if _samples_of_tiff(encoded) != 1:
        return _by_tifffile(encoded, number, depth)
    with pixels.opened_bytes(encoded, kind) as image:
        _require_plain(image)
        if image.mode not in GRAY_TIFF:
            raise _UnusableError(f"holds {image.mode}, no bands of 8 or 16 bits; expected {number}")
        values = _array(image.convert("L") if image.mode == "1" else image)
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def _samples_of_tiff(encoded):
    """How many samples a pixel of a TIFF has, by its tags."""
    stream = io.BytesIO(encoded)
    tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(TIFF_HEADER))
    stream.seek(tags.next)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a file that is cut, which is an error below
        tags.load(stream)
        return tags.get(SAMPLES, 1)


def _by_tifffile(encoded, number, depth):
    """A TIFF of several samples."""
    try:
        tifffile = importlib.import_module("tifffile")
    except ImportError:
        raise _UnusableError(
            "is a TIFF of several bands, which tifffile reads, and that is not installed: pip install "
            "'deeplab-ksac[tiff]'"
        ) from None
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        if len(file.pages) != 1:
            raise _UnusableError(f"holds {len(file.pages)} pictures; save its bands as the samples of one")
        page = file.pages[0]
        if page.dtype not in (np.uint8, np.uint16):
            raise _UnusableError(f"has values of {page.dtype}; expected whole numbers of 8 or 16 bits")
        orientation = page.tags.get("Orientation")
        if orientation is not None and orientation.value != 1:
            raise _UnusableError(f"has orientation {int(orientation.value)}; save it upright")
        _require(page.samplesperpixel, 8 * page.dtype.itemsize, number, depth)
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise _UnusableError("is compressed in a way that imagecodecs reads: pip install imagecodecs") from error
    if page.axes == "SYX":
        values = values.transpose(1, 2, 0)
    return values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)


def _of_another(encoded, kind, number, depth):
    """JPEG, BMP and WebP by Pillow."""
    with pixels.opened_bytes(encoded, kind) as image:
        _require_plain(image)
        if image.mode not in OF_OTHERS:
            raise _UnusableError(f"holds {image.mode}, no bands; expected {number}")
        _require(*OF_OTHERS[image.mode], number, depth)
        return _array(image.convert("L") if image.mode == "1" else image)


def _array(image):
    """A picture as [H, W, C]."""
    values = np.asarray(image)
    return values[..., np.newaxis] if values.ndim == 2 else values


_DECODERS = {"png": _of_png, "tiff": _of_tiff}
