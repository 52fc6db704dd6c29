"""What an exported file's numbers are rounded to, and the pictures by which ranges are measured for 8 bits."""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from deeplab_ksac.bands import Bands
from deeplab_ksac.errors import in_one_line

ROUNDINGS = {  # of a file's numbers: the formats that can have them
    "dynamic_range": ("tflite",),
    "float16": ("tflite",),
    "int8": ("tflite", "onnx"),
}
Pictures = Iterable[np.ndarray]  # uint8 or uint16 [H, W, C] each, of any sizes; iterated as often as needed


def chosen(rounding: str | bool | None, form: str, representative: Pictures | None) -> str | None:
    """The rounding that a caller has asked of a format; True is "dynamic_range", as it was when there was no other.

    Raises:
        ValueError: there is no such rounding in this format; pictures without "int8", or "int8" without pictures;
            pictures that can be iterated only once.
    """
    rounding = ("dynamic_range" if rounding else None) if isinstance(rounding, bool) else rounding
    known = [name for name, forms in ROUNDINGS.items() if form in forms]
    if rounding is not None and rounding not in known:
        raise ValueError(f"quantize must be one of {', '.join(known)} for {form}, not {rounding!r}")
    if rounding == "int8" and representative is None:
        raise ValueError("int8 needs representative pictures, by which the ranges of all maps are measured")
    if rounding != "int8" and representative is not None:
        raise ValueError(f"representative pictures are for int8, not for {rounding or 'float32'}")
    if isinstance(representative, Iterator):
        raise ValueError(
            f"representative pictures can be iterated only once as a {type(representative).__name__}, and the check "
            "needs them again, so give a list or the like"
        )
    return rounding


def each(pictures: Pictures, bands: Bands) -> Iterator[np.ndarray]:
    """Pictures, one after the other.

    Raises:
        ValueError: there are none; one is not of these bands and their type, as of 0…1, which would be black; or one
            cannot be read: where they are files, an OSError of one is not to be taken for one of what is written.
    """
    picture = None
    try:
        for picture in pictures:
            if picture.dtype != f"uint{bands.depth}" or picture.ndim != 3 or picture.shape[-1] != bands.number:
                raise ValueError(
                    f"a representative picture must be uint{bands.depth} [H, W, {bands.number}], not {picture.dtype} "
                    f"{list(picture.shape)}"
                )
            yield picture
    except OSError as error:
        raise ValueError(f"a representative picture cannot be read: {in_one_line(error)}") from error
    if picture is None:
        raise ValueError("there are no representative pictures")


def of_one_size(pictures: Pictures, size: tuple[int, int] | None, bands: Bands) -> Iterator[np.ndarray]:
    """Pictures as batches of one, [1, h, w, C], resized (bilinear) to a size, by default the first one's.

    Raises:
        ValueError: as `each`.
    """
    for picture in each(pictures, bands):
        size = picture.shape[:2] if size is None else size
        yield resized(picture, size)[np.newaxis]


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, C] at a size, bilinear, in its own type; itself where it has that size."""
    if picture.shape[:2] == tuple(size):
        return picture
    values = tf.image.resize(picture, size, antialias=True).numpy()
    return np.rint(values).astype(picture.dtype)
