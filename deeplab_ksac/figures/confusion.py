"""A confusion matrix as a picture: which class is taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from deeplab_ksac.figures.rendering import rendered

MOST_NUMBERED = 25  # classes; numbers in the cells of more could not be read
CELL_INCHES = {"numbered": 0.42, "plain": 0.12}
MARGIN_INCHES = 2.2
DPI = 100


def confusion_picture(matrix: ArrayLike, class_names: Sequence[str], *, title: str = "") -> np.ndarray:
    """The matrix with every row divided by its sum, as a picture: uint8 RGB [H, W, 3].

    Row: the truth; column: the prediction; the cell: the share of the row's pixels in percent, from white (0) to dark
    (100). Classes that are absent from the truth have an empty row, and "(absent)" behind their name.

    Args:
        matrix: counts [K, K], rows the truth.
        class_names: K names.
        title: stands above.

    Raises:
        ValueError: if there are not as many names as rows and columns.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (len(class_names),) * 2:
        raise ValueError(f"{len(class_names)} class names do not fit a matrix of shape {matrix.shape}")
    shares = row_shares(matrix)
    numbered = len(class_names) <= MOST_NUMBERED
    side = CELL_INCHES["numbered" if numbered else "plain"] * len(class_names) + MARGIN_INCHES
    figure = Figure(figsize=(side + 0.6, side), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=100, aspect="equal")
    absent = np.isnan(shares).any(axis=1)
    rows = [f"{name} (absent)" if missing else name for name, missing in zip(class_names, absent, strict=True)]
    size = 8 if numbered else 5
    axes.set_xticks(range(len(class_names)), class_names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(class_names)), rows, fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="% of the true pixels")
    if numbered:
        _write_numbers(axes, shares)
    return rendered(figure)


def row_shares(matrix: ArrayLike) -> np.ndarray:
    """Every row in percent of its sum: [K, K] -> float64 [K, K]; NaN in the row of a class absent from the truth."""
    matrix = np.asarray(matrix, np.float64)
    sums = matrix.sum(axis=1, keepdims=True)
    return np.where(sums > 0, 100 * matrix / np.maximum(sums, 1), np.nan)


def _write_numbers(axes, shares):
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:  # less would be written as 0
            color = "white" if share > 50 else "black"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=color)
