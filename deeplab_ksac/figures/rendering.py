"""Matplotlib's figures as arrays, and classes in their legends; no global plotting state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from deeplab_ksac.figures.colors import Colors


def class_patches(names: Sequence[str], colors: Colors) -> list[Patch]:
    """A matplotlib patch for each class, for legends."""
    return [
        Patch(facecolor=np.asarray(color) / 255, edgecolor="gray", linewidth=0.5, label=name)
        for name, color in zip(names, colors, strict=True)
    ]


def rendered(figure: Figure) -> np.ndarray:
    """A matplotlib figure as uint8 RGB [H, W, 3]."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # a constrained layout needs two rounds where pictures keep their proportions
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
