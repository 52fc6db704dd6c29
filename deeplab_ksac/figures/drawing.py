"""The thesis's figures, drawn: arrays in, picture out (uint8 RGB [H, W, 3]); no model inside."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.figures.colors import Colors, colorize, named_classes, to_bytes
from deeplab_ksac.figures.rendering import class_patches, plain, rendered, widest, wrapped

DPI = 100
PANEL_INCHES = 2.8
ASPECTS = (0.1, 1.6)  # height : width of a panel's place, whatever its picture's
TITLE_INCHES = PANEL_INCHES - 0.4  # a color scale may stand beside the picture
TITLE_SIZE, LEGEND_SIZE = 8, 8  # points
LEGEND_COLUMNS = 6
SWATCH_INCHES = 0.6  # of a column of the legend beside its names: the color, and gaps
MOST_NAMED = 60  # classes on an axis; the names of more could not be read
NAME_SIZE = 7  # points, of the classes on an axis and of runs beside their curves
CURVES_INCHES = 4.2
Box = tuple[int, int, int, int]  # (top, left, height, width) of a frame, in pixels


@dataclasses.dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Attributes:
        picture: uint8 RGB [H, W, 3], or numbers [h, w] that are shown in colors.
        title: stands above.
        limits: (lowest, highest) number of the color scale, for numbers.
        colormap: matplotlib's name, for numbers.
        point: (row, column) in pixels of `extent` that is marked in red, or None.
        boxes: (top, left, height, width) of frames, in pixels of `extent`.
        extent: (height, width) that the picture is stretched to, or None for its own.
    """

    picture: np.ndarray
    title: str
    limits: tuple[float, float] | None = None
    colormap: str = "inferno"
    point: tuple[float, float] | None = None
    boxes: tuple[Box, ...] = ()
    extent: tuple[int, int] | None = None


def panels(
    rows: Sequence[Sequence[Panel | None]], *, title: str = "", names: Sequence[str] = (), colors: Colors = ()
) -> np.ndarray:
    """Rows of `Panel`s under a title, with a color scale beside each that shows numbers and a legend of classes below.

    Args:
        rows: lists of `Panel`; None leaves a place empty.
        title: of the whole.
        names, colors: of the legend.

    Raises:
        ValueError: there is no panel.
    """
    if not rows or not any(rows[0]):
        raise ValueError("a figure needs at least one panel")
    columns = max(len(row) for row in rows)
    aspects = [np.mean([p.picture.shape[0] / p.picture.shape[1] for p in row if p is not None]) for row in rows]
    aspects = np.clip(aspects, *ASPECTS)
    titles = [max(_title(p).count("\n") for p in row if p is not None) for row in rows]
    width = PANEL_INCHES * columns + 0.4
    legend_columns, names = _legend_columns(names, width)
    legend_rows = -(-len(names) // legend_columns) * max((name.count("\n") + 1 for name in names), default=0)
    height = sum(PANEL_INCHES * aspects + 0.35) + 0.15 * sum(titles) + 0.25 * legend_rows + 0.6
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    if title:
        figure.suptitle(wrapped(title, width, 10), fontsize=10)
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=aspects)
    for row, line in zip(axes, rows, strict=True):
        for axis, panel in zip(row, [*line, *[None] * (columns - len(line))], strict=True):
            axis.set_axis_off()
            if panel is not None:
                _draw(figure, axis, panel)
    if names:
        handles = class_patches(names, colors)
        figure.legend(
            handles=handles, loc="outside lower center", ncols=legend_columns, frameon=False, fontsize=LEGEND_SIZE
        )
    _close_gaps(figure, axes)
    return rendered(figure)


def _title(panel):
    return wrapped(panel.title, TITLE_INCHES, TITLE_SIZE)


def _legend_columns(names, width):
    """How many columns of the legend fit into the width of a figure, and the names as they stand in them."""
    longest = width - 2 * SWATCH_INCHES
    needed = min(widest(names, LEGEND_SIZE), longest) + SWATCH_INCHES
    columns = min(max(int(width / needed), 1), LEGEND_COLUMNS)
    return columns, [wrapped(name, longest, LEGEND_SIZE) for name in names]


def _close_gaps(figure, axes):
    """Lowers a figure by what its rows leave empty, since pictures keep their proportions."""
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    shares = [
        min(axis.get_position(original=True).height - axis.get_position().height for axis in row if axis.images)
        for row in axes
    ]
    figure.set_size_inches(width, height * (1 - sum(shares)))


def _draw(figure, axis, panel):
    numbers = panel.picture.ndim == 2
    height, width = panel.extent or panel.picture.shape[:2]
    scale = {"cmap": panel.colormap} if numbers else {}
    if numbers and panel.limits is not None:
        scale |= {"vmin": panel.limits[0], "vmax": panel.limits[1]}
    shown = axis.imshow(panel.picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest", **scale)
    if numbers:
        figure.colorbar(shown, ax=axis, shrink=0.7, pad=0.02).ax.tick_params(labelsize=6)
    if panel.point is not None:
        row, column = panel.point
        axis.plot([column], [row], "o", color="red", markeredgecolor="white", markersize=6)
    for top, left, tall, wide in panel.boxes:
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), wide, tall, fill=False, edgecolor="red", linewidth=1.5))
    axis.set_title(_title(panel), fontsize=TITLE_SIZE, pad=3)


def predictions(
    images: Sequence[ArrayLike],
    truths: Sequence[ArrayLike] | None,
    by_model: Mapping[str, Sequence[ArrayLike]],
    info: DatasetInfo,
    *,
    boxes: Sequence[Sequence[Box]] | None = None,
    originals: bool = True,
) -> np.ndarray:
    """Image | truth | prediction of each model, or of each of its attentions, a row for each image.

    Figs. 2.5, 3.6–3.9 and 3.3, 3.4.

    Args:
        images: RGB 0…255, each [H, W, 3].
        truths: integers, each [H, W], or None where there are none.
        by_model: {name: predictions, each integers [H, W]}.
        info: has `class_names` and `colors`.
        boxes: for each image the (top, left, height, width) of frames.
        originals: whether images and truths are shown, and not only what models made of them.

    Raises:
        ValueError: there is no image.
    """
    if not len(images):
        raise ValueError("a sheet of predictions needs at least one image")
    rows, shown = [], []
    for index, image in enumerate(images):
        frames = tuple(boxes[index]) if boxes is not None else ()
        row = [Panel(to_bytes(image), "image", boxes=frames)] if originals else []
        maps = {"truth": truths[index]} if originals and truths is not None else {}
        maps |= {name: answers[index] for name, answers in by_model.items()}
        for name, classes in maps.items():
            title = name if truths is None or name == "truth" else f"{name} ({_right(classes, truths[index], info)})"
            row.append(Panel(colorize(classes, info.colors), title, boxes=frames))
        shown += maps.values()
        rows.append(row)
    names, colors = named_classes(shown, info)
    return panels(rows, names=names, colors=colors)


def _right(classes, truth, info):
    labeled = np.asarray(truth) < len(info.class_names)
    if not labeled.any():
        return "nothing labeled"
    return f"{np.mean(np.asarray(classes)[labeled] == np.asarray(truth)[labeled]):.1%} right"


def branch_features(
    image: ArrayLike,
    by_model: Mapping[str, Mapping[int, np.ndarray]],
    *,
    channels: int = 25,
    originals: bool = True,
) -> np.ndarray:
    """Per atrous rate a square grid of feature maps, the same channels of every model, one color scale (Fig. 2.4).

    Args:
        image: RGB 0…255, [H, W, 3].
        by_model: {name: {rate: [h, w, C]}}.
        channels: how many maps; those with the largest variance over all rates of the first model, of the channels
            that every model has.
        originals: whether the image is shown.

    Raises:
        ValueError: fewer channels than asked for.
    """
    common = min(maps.shape[-1] for rates in by_model.values() for maps in rates.values())
    first = {rate: maps[..., :common] for rate, maps in next(iter(by_model.values())).items()}
    chosen = busiest_channels(first, channels)
    grids = {name: {rate: tile(maps[..., chosen]) for rate, maps in rates.items()} for name, rates in by_model.items()}
    top = max(float(np.percentile(grid, 99.5)) for rates in grids.values() for grid in rates.values())
    rows = [[Panel(to_bytes(image), "image")]] if originals else []
    for name, rates in grids.items():
        rows.append(
            [Panel(grid, f"{name}, rate {rate}", limits=(0, top), colormap="gray") for rate, grid in rates.items()]
        )
    return panels(rows, title=f"{channels} channels of each atrous rate")


def busiest_channels(maps: Mapping[int, np.ndarray], count: int) -> np.ndarray:
    """The channels with the largest variance over the pixels of all rates: {rate: [h, w, C]} -> integers [count]."""
    stacked = np.concatenate([np.reshape(x, [-1, x.shape[-1]]) for x in maps.values()])
    if not 1 <= count <= stacked.shape[-1]:
        raise ValueError(f"channels must be 1 … {stacked.shape[-1]}, not {count}")
    return np.argsort(-stacked.var(axis=0), kind="stable")[:count]


def tile(maps: np.ndarray) -> np.ndarray:
    """Maps side by side in a grid as square as can be, a line of the lowest value between them: [h, w, n] -> [H, W]."""
    height, width, count = maps.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    grid = np.full([rows * (height + 1) - 1, columns * (width + 1) - 1], maps.min(), maps.dtype)
    for index in range(count):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        grid[top : top + height, left : left + width] = maps[..., index]
    return grid


def attention(
    image: np.ndarray,
    point: tuple[int, int],
    pixel: tuple[int, int],
    maps: Mapping[str, np.ndarray],
    whole: np.ndarray,
    *,
    originals: bool = True,
) -> np.ndarray:
    """Axial attention of one pixel: along its row and its column, and both in turn; the gates beside them.

    Args:
        image: RGB 0…255, [H, W, 3].
        point: (row, column) in the image.
        pixel: the same in the feature map.
        maps: {"columns": [w, h, h], "rows": [h, w, w]}, and {"row_gates": [h, C], "column_gates": [w, C]} where there
            are gates.
        whole: [h, w], what the pixel attends to by rows and columns in turn.
        originals: whether the image is shown.
    """
    extent, (row, column) = image.shape[:2], pixel
    along, down = np.zeros_like(whole), np.zeros_like(whole)
    along[row], down[:, column] = maps["rows"][row, column], maps["columns"][column, row]
    shown = (("along its row", along), ("along its column", down), ("by row and column in turn", whole))
    first = [Panel(to_bytes(image), "image", point=point)] if originals else []
    first += [Panel(weights, title, point=point, extent=extent) for title, weights in shown]
    gates = {
        "gates of the rows (row × channel)": "row_gates",
        "gates of the columns (column × channel)": "column_gates",
    }
    second = [
        Panel(maps[key], title, limits=(0, 1), colormap="viridis", extent=extent)
        for title, key in gates.items()
        if key in maps
    ]
    return panels([first, second] if second else [first])


def pixel_relation(
    image: np.ndarray,
    point: tuple[int, int],
    by_model: Mapping[str, np.ndarray],
    predicted: Mapping[str, ArrayLike],
    info: DatasetInfo,
    *,
    originals: bool = True,
) -> np.ndarray:
    """How similar all pixels are to the marked one, and what is predicted, for each model (Figs. 4.4, 4.6, 4.7).

    Args:
        image: RGB 0…255, [H, W, 3].
        point: (row, column) in the image.
        by_model: {name: [h, w] in −1 … 1}.
        predicted: {name: integers [H, W]}.
        info: has `class_names` and `colors`.
        originals: whether the image is shown.
    """
    extent = image.shape[:2]
    similar = [
        Panel(relation, name, limits=(0, 1), colormap="jet", point=point, extent=extent)
        for name, relation in by_model.items()
    ]
    answers = [Panel(colorize(predicted[name], info.colors), f"{name}: prediction") for name in by_model]
    if originals:
        similar, answers = [Panel(to_bytes(image), "image", point=point), *similar], [None, *answers]
    names, colors = named_classes(list(predicted.values()), info)
    return panels([similar, answers], names=names, colors=colors)


def class_dependency(maps: Mapping[str, np.ndarray], class_names: Sequence[str]) -> np.ndarray:
    """The K×K maps of one model, or of two side by side with their difference (Fig. 4.5).

    Args:
        maps: {name: [K, K]}, NaN where a class is absent; one or two.
        class_names: K names.
    """
    shown = {name: (matrix, (0, 1), "hot") for name, matrix in maps.items()}
    if len(maps) == 2:
        (first, a), (second, b) = maps.items()
        bound = max(float(np.nanmax(np.abs(b - a), initial=0.01)), 0.01)
        shown[f"{second}\n− {first}"] = (b - a, (-bound, bound), "coolwarm")
    named = len(class_names) <= MOST_NAMED
    margin = max(widest(class_names, NAME_SIZE) + 0.9, 1.4) if named else 1.4
    side = max(0.17 * len(class_names), 2.6) + margin
    figure = Figure(figsize=(side * len(shown) + 0.6 * len(shown), side), dpi=DPI, layout="constrained")
    for axis, (name, (matrix, limits, colormap)) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        picture = axis.imshow(matrix, vmin=limits[0], vmax=limits[1], cmap=colormap, interpolation="nearest")
        axis.set_facecolor("lightgray")
        ticks = range(len(class_names)) if named else []
        names = list(map(plain, class_names)) if named else []
        axis.set_xticks(ticks, names, rotation=90, fontsize=NAME_SIZE)
        axis.set_yticks(ticks, names, fontsize=NAME_SIZE)
        axis.set_title(wrapped(name, side, 9), fontsize=9)
        figure.colorbar(picture, ax=axis, shrink=0.7)
    return rendered(figure)


def curves(by_run: Mapping[str, Mapping[str, tuple[Sequence, Sequence]]], *, title: str = "") -> np.ndarray:
    """Learning curves: {quantity: {run: (steps, values)}} -> a plot for each quantity, the runs in it.

    Raises:
        ValueError: there is no curve.
    """
    if not by_run:
        raise ValueError("nothing to plot: no run has logged anything")
    columns = min(len(by_run), 3)
    rows = -(-len(by_run) // columns)
    figure = Figure(figsize=(CURVES_INCHES * columns, 3.0 * rows + 0.4), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title, CURVES_INCHES * columns, 10), fontsize=10)
    for axis, (quantity, runs) in zip(figure.subplots(rows, columns, squeeze=False).flat, by_run.items(), strict=False):
        for name, (steps, values) in runs.items():
            label = wrapped(name, CURVES_INCHES / 2, NAME_SIZE)
            axis.plot(steps, values, label=label, linewidth=1, marker="o" if len(steps) < 12 else None, markersize=3)
        axis.set_title(quantity, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        axis.legend(handles=axis.get_lines(), fontsize=NAME_SIZE)  # given, a name may begin with an underscore
    for axis in figure.axes[len(by_run) :]:
        axis.set_axis_off()
    return rendered(figure)
