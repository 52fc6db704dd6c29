"""A confusion matrix as a picture: which class is taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from deeplab_ksac.figures.rendering import rendered, widest, wrapped

MOST_NUMBERED = 25  # classes; numbers in the cells of more could not be read
CELL_INCHES = {"numbered": 0.42, "plain": 0.12}
NAME_SIZES = {"numbered": 8, "plain": 5}  # points
NAME_INCHES = {"numbered": 2.5, "plain": np.inf}  # of a line; there is room for one line beside a plain cell
MARGIN_INCHES = 2.2
BESIDE_NAMES = 1.4  # inches of the margin: the axes' titles, the color scale
TITLE_SIZE = 10  # points
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
    absent = np.isnan(shares).any(axis=1)
    rows = [f"{name} (absent)" if missing else name for name, missing in zip(class_names, absent, strict=True)]
    numbered = len(class_names) <= MOST_NUMBERED
    kind = "numbered" if numbered else "plain"
    size, longest = NAME_SIZES[kind], NAME_INCHES[kind]
    margin = max(MARGIN_INCHES, min(widest(rows, size), longest) + BESIDE_NAMES)
    side = CELL_INCHES[kind] * len(class_names) + margin
    title = wrapped(title, side, TITLE_SIZE)
    above = title.count("\n") * TITLE_SIZE / 60  # inches of the title's further lines
    figure = Figure(figsize=(side + 0.6, side + above), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=100, aspect="equal")
    columns, rows = ([wrapped(name, longest, size) for name in names] for names in (class_names, rows))
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=size)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    figure.suptitle(title, fontsize=TITLE_SIZE)
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
