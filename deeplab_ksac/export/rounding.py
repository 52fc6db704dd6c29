"""What an exported file's numbers are rounded to, and the pictures by which ranges are measured for 8 bits."""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

ROUNDINGS = {  # of a file's numbers: the formats that can have them
    "dynamic_range": ("tflite",),
    "float16": ("tflite",),
    "int8": ("tflite", "onnx"),
}
Pictures = Iterable[np.ndarray]  # uint8 or uint16 [H, W, C] each, of any sizes; iterated as often as needed


def chosen(rounding: str | bool | None, form: str, representative: Pictures | None) -> str | None:
    """The rounding that a caller has asked of a format; True is "dynamic_range", as it was when there was no other.

    Raises:
        ValueError: there is no such rounding in this format; pictures without "int8", or "int8" without pictures.
    """
    rounding = ("dynamic_range" if rounding else None) if isinstance(rounding, bool) else rounding
    known = [name for name, forms in ROUNDINGS.items() if form in forms]
    if rounding is not None and rounding not in known:
        raise ValueError(f"quantize must be one of {', '.join(known)} for {form}, not {rounding!r}")
    if rounding == "int8" and representative is None:
        raise ValueError("int8 needs representative pictures, by which the ranges of all maps are measured")
    if rounding != "int8" and representative is not None:
        raise ValueError(f"representative pictures are for int8, not for {rounding or 'float32'}")
    return rounding


def of_one_size(pictures: Pictures, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
    """Pictures as batches of one, [1, h, w, C], resized (bilinear) to a size, by default the first one's.

    Raises:
        ValueError: there are none.
    """
    for picture in pictures:
        size = picture.shape[:2] if size is None else size
        yield resized(picture, size)[np.newaxis]
    if size is None:
        raise ValueError("there are no representative pictures")


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, C] at a size, bilinear, in its own type; itself where it has that size."""
    if picture.shape[:2] == tuple(size):
        return picture
    values = tf.image.resize(picture, size, antialias=True).numpy()
    return np.rint(values).astype(picture.dtype)
