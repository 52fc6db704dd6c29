"""The colors of RGB masks -> labels 0…K−1 and 255, by exact color."""

import os
from collections.abc import Mapping

import numpy as np

from deeplab_ksac.datasets import pixels
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.errors import in_one_line

UNKNOWN = 254  # no data set has that many classes
SHOWN = 3
Color = tuple[int, int, int]


class ColorTable:
    """What each color of a mask means, as one look-up for all pixels; no color is taken for another that is near.

    Args:
        labels: {(red, green, blue): label 0…K−1 or 255}; any other color is an error.
        names: {(red, green, blue): name of its class}, for errors.

    Raises:
        ValueError: a label out of range.
    """

    def __init__(self, labels: Mapping[Color, int], names: Mapping[Color, str]):
        if not all(0 <= label <= 255 and label != UNKNOWN for label in labels.values()):
            raise ValueError(f"labels lie in 0…255 and are not {UNKNOWN}: {sorted(set(labels.values()))}")
        self.labels, self.names = dict(labels), dict(names)
        self.table = np.full(1 << 24, UNKNOWN, np.uint8)
        for color, label in self.labels.items():
            self.table[_code(np.array(color))] = label

    def __reduce__(self):  # the table is made of them
        return ColorTable, (self.labels, self.names)

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """The labels of an RGB mask: uint8 [H, W].

        Raises:
            DatasetError: no PNG, transparent pixels, or colors of no class, with their pixel counts and the nearest
                colors there are.
        """
        colors = read_colors(path)
        labels = np.take(self.table, _code(colors))
        unknown = labels == UNKNOWN
        if unknown.any():
            self._refuse(colors[unknown], labels.size, path)
        return labels

    def _refuse(self, colors, size, path):
        codes, counts = np.unique(_code(colors), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        shown = ", ".join(self._described(int(codes[i]), counts[i]) for i in order[:SHOWN])
        more = f" and {len(codes) - SHOWN} more colors" if len(codes) > SHOWN else ""
        raise DatasetError(
            f"mask {path}: {counts.sum()} of {size} pixels have a color of no class: {shown}{more}; --colors=FILE "
            "names a legend that has them, and outlines must not be smoothed"
        )

    def _described(self, code, count):
        color = (code >> 16, code >> 8 & 255, code & 255)
        if color in self.names:
            return f"{color} ({count} pixels; it is that of {self.names[color]!r}, which is not in the class list)"
        near = min(self.labels, key=lambda known: sum((a - b) ** 2 for a, b in zip(color, known, strict=True)))
        return f"{color} ({count} pixels; the nearest is {near}, {self.names[near]})"


def read_colors(path: str | os.PathLike) -> np.ndarray:
    """The colors of a PNG of 8 bits, opaque: uint8 [H, W, 3].

    Raises:
        DatasetError: the file cannot be read, is of another format whatever its name, or has transparent pixels.
    """
    try:
        with pixels.opened(path) as mask:
            if mask.format != "PNG":
                raise DatasetError(
                    f"mask {path} holds {mask.format}, whatever its name says; expected PNG, which keeps every color"
                )
            if mask.mode in pixels.DEEP_MODES or pixels.DEEP in mask.info:
                raise DatasetError(f"mask {path} has 16 bits a channel; colors (--colors) are read of 8 bits")
            mask.load()
            if pixels.is_transparent(mask):
                alpha = np.asarray(mask.convert("RGBA"))[..., 3]
                raise DatasetError(
                    f"mask {path} has {np.count_nonzero(alpha < 255)} of {alpha.size} pixels that are not opaque; "
                    "their color is not known: save it without transparency, each pixel in the color of its class"
                )
            return np.asarray(mask.convert("RGB"))
    except (OSError, pixels.UnknownRangeError) as error:
        raise DatasetError(f"mask {path} cannot be read: {in_one_line(error)}") from error


def _code(colors):
    """uint8 […, 3] -> one number for each color: int32 […]."""
    colors = colors.astype(np.int32)
    return colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
