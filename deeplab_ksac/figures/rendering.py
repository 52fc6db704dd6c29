"""Matplotlib's figures as arrays, classes in their legends, and texts that fit; no global plotting state."""

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path

from deeplab_ksac.figures.colors import Colors

LONGEST_SIDE = 2**16 - 1  # pixels, of matplotlib's Agg
POINTS = 72  # of an inch
SLACK = 0.9  # of a line's letters, since some are wider than others


def class_patches(names: Sequence[str], colors: Colors) -> list[Patch]:
    """A matplotlib patch for each class, for legends."""
    return [
        Patch(facecolor=np.asarray(color) / 255, edgecolor="gray", linewidth=0.5, label=name)
        for name, color in zip(names, colors, strict=True)
    ]


def plain(text: str) -> str:
    """A text that matplotlib shows letter by letter: no `$` in it begins a formula."""
    return text.replace("$", r"\$")


def widest(texts: Iterable[str], size: float) -> float:
    """The width of the widest of several texts in letters of `size` points, in inches; 0 without any."""
    font = FontProperties(size=size)
    widths = (text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] for text in texts)
    return max(widths, default=0.0) / POINTS


def wrapped(text: str, width: float, size: float) -> str:
    """A text as `plain`, in lines of at most `width` inches in letters of `size` points."""

    def lines(line):
        needed = widest([line], size)
        return [line] if needed <= width else textwrap.wrap(line, max(int(SLACK * len(line) * width / needed), 1))

    return plain("\n".join(part for line in text.split("\n") for part in lines(line)))


def rendered(figure: Figure) -> np.ndarray:
    """A matplotlib figure as uint8 RGB [H, W, 3]; one that would have a side above 65,535 pixels is drawn smaller."""
    figure.set_dpi(min(figure.dpi, LONGEST_SIDE / max(figure.get_size_inches())))
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # a constrained layout needs two rounds where pictures keep their proportions
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
