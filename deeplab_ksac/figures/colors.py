"""Classes in their colors: pictures, overlays, palettes; arrays alone, no model and no plotting library."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo

IGNORE_COLOR = (224, 224, 192)  # PASCAL VOC's color of 255
Colors = Sequence[tuple[int, int, int]]  # red, green, blue of each class, 0…255


def palette(colors: Colors) -> np.ndarray:
    """The colors of all 256 values: [K, 3] -> uint8 [256, 3]; K … 255 (ignored) get `IGNORE_COLOR`."""
    colors = np.asarray(colors, np.uint8).reshape(-1, 3)
    table = np.tile(np.array(IGNORE_COLOR, np.uint8), (256, 1))
    table[: len(colors)] = colors
    return table


def colorize(classes: ArrayLike, colors: Colors) -> np.ndarray:
    """Classes in their colors: integers 0 … 255 [...] -> uint8 RGB [..., 3]; values ≥ K in `IGNORE_COLOR`."""
    return palette(colors)[np.asarray(classes)]


def overlay(image: ArrayLike, classes: ArrayLike, colors: Colors, opacity: float = 0.5) -> np.ndarray:
    """The classes laid over the image: RGB 0 … 255 [..., 3], integers [...] -> uint8 RGB [..., 3].

    Args:
        image: of any number type.
        classes: values ≥ K (ignored) leave the image as it is.
        colors: [K, 3].
        opacity: 0 (the image alone) … 1 (the colors alone).

    Raises:
        ValueError: for an opacity outside 0 … 1.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in 0 … 1, not {opacity}")
    classes = np.asarray(classes)
    image = np.asarray(image, np.float32)
    weight = np.where(classes < len(colors), np.float32(opacity), np.float32(0))[..., np.newaxis]
    return to_bytes(image + weight * (colorize(classes, colors) - image))


def to_bytes(image: ArrayLike) -> np.ndarray:
    """RGB of any number type, 0 … 255 -> uint8, rounded and clipped."""
    return np.clip(np.rint(np.asarray(image, np.float32)), 0, 255).astype(np.uint8)


def index_image(classes: ArrayLike, colors: Colors) -> Image.Image:
    """Classes as a Pillow palette image: integers [H, W] -> the class as value, its color in the palette."""
    indexed = Image.fromarray(np.asarray(classes, np.uint8), mode="L")
    indexed.putpalette(palette(colors).tobytes(), "RGB")
    return indexed


def encode_png(image: np.ndarray | Image.Image) -> bytes:
    """An array (uint8 [H, W, 3]) or a Pillow image as the bytes of a PNG."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def named_classes(maps: Iterable[ArrayLike], info: DatasetInfo) -> tuple[list[str], Colors]:
    """(names, colors) of the classes that occur in the maps (integers, any shapes), and of what is ignored."""
    shown = np.unique(np.concatenate([np.unique(array) for array in maps]))
    names = [info.class_names[k] for k in shown if k < len(info.class_names)]
    colors = [info.colors[k] for k in shown if k < len(info.class_names)]
    if shown.size and shown[-1] >= len(info.class_names):
        names, colors = [*names, "(ignored)"], [*colors, IGNORE_COLOR]
    return names, colors
