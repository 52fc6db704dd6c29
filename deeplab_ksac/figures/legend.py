"""A legend of classes and their colors below a picture; fast enough for thousands of pictures."""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deeplab_ksac.figures.colors import Colors

ROW, SWATCH, GAP = 18, 12, 6  # pixels
FONT_SIZE = 12


def with_legend(picture: np.ndarray, names: Sequence[str], colors: Colors) -> np.ndarray:
    """A picture with a legend below it: uint8 RGB [H, W, 3] -> [H + rows · 18, W, 3]; as it is without names.

    Args:
        picture: RGB.
        names: of the classes to be named; one that is wider than the picture is cut off.
        colors: (red, green, blue) of each.
    """
    if not len(names):
        return picture
    font = _font("".join(names).isascii())
    width = picture.shape[1]
    places = list(_places([int(font.getlength(name)) + 1 for name in names], width))
    strip = Image.new("RGB", (width, (places[-1][1] + 1) * ROW), "white")
    draw = ImageDraw.Draw(strip)
    for name, color, (left, row) in zip(names, colors, places, strict=True):
        top = row * ROW + (ROW - SWATCH) // 2
        draw.rectangle((left, top, left + SWATCH - 1, top + SWATCH - 1), fill=tuple(color), outline="gray")
        draw.text((left + SWATCH + GAP, row * ROW + ROW // 2), name, fill="black", font=font, anchor="lm")
    return np.concatenate([picture, np.asarray(strip)])


@functools.cache
def _font(ascii_alone):
    """Pillow's own, which has hardly more than ASCII; for other letters matplotlib's, which takes a while to load."""
    if ascii_alone:
        return ImageFont.load_default(size=FONT_SIZE)
    from matplotlib.font_manager import FontProperties, findfont

    return ImageFont.truetype(findfont(FontProperties()), size=FONT_SIZE)


def _places(text_widths, width):
    """(left, row) of entries that flow like words, GAP apart."""
    left, row = GAP, 0
    for text_width in text_widths:
        needed = SWATCH + 2 * GAP + text_width
        if left + needed > width and left > GAP:
            left, row = GAP, row + 1
        yield left, row
        left += needed + GAP
