"""Learning curves of a run as SVG: the loss from the left axis, the mIoU on the validation split from the right."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

SIZE = (5.4, 2.2)  # inches
GRAY = "#808080"  # of axes and texts: readable on white and on black
COLORS = {"train/loss": "#3b6fb6", "eval/miou": "#c2571a"}
VARIABLES = {"train/loss": "--loss", "eval/miou": "--miou"}  # with which a page sets other colors
DOTTED, DOT = 30, 0.025  # a curve of fewer points shows them as dots of so many inches from middle to edge
SETTINGS = {
    **{"svg.fonttype": "none", "svg.hashsalt": "learning curves", "font.family": "sans-serif", "font.size": 9},
    "path.simplify_threshold": 1.0,  # pixels: a long curve takes no more room than its picture shows
}


def svg(curves: Mapping[str, Sequence[tuple[int, float]]], *, steps: int, title: str = "") -> str:
    """The text of an SVG on a transparent ground; the same curves give the same text.

    Args:
        curves: {"train/loss", "eval/miou": ((step, value), …)}, or one of the two; mIoU in 0 … 1.
        steps: where the axis of steps ends.
        title: of the document, for readers who do not see it.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        left = figure.add_subplot()
        right = left.twinx()
        left.set_xlim(0, max(steps, 1))
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        left.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        left.set_xlabel("steps", color=GRAY)
        left.grid(color=GRAY, alpha=0.3, linewidth=0.5)
        _draw(left, "train/loss", "loss", curves)
        left.set_ylim(bottom=min([0.0, *(value for _, value in curves.get("train/loss", ()))]))
        _draw(right, "eval/miou", "mIoU", curves)
        right.set_ylim(0, 1)
        for axes in (left, right):
            axes.spines["top"].set_visible(False)
            axes.spines[["left", "right", "bottom"]].set_color(GRAY)
            axes.tick_params(axis="x", bottom=False, colors=GRAY)
        buffer = io.StringIO()
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata={**unsaid, "Title": title})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1)
    for name, color in COLORS.items():
        text = text.replace(color, f"var({VARIABLES[name]}, {color})")
    return text


def _draw(axes: Axes, name, label, curves):
    """One curve and its axis in its color; without a curve the axis is not shown."""
    points = curves.get(name, ())
    if not points:
        axes.yaxis.set_visible(False)
        return
    axes.plot(*zip(*points, strict=True), color=COLORS[name], linewidth=1.2)
    if len(points) < DOTTED:
        for point in points:  # circles of their own: markers become links inside the page, which may hold other curves
            place = axes.figure.dpi_scale_trans + ScaledTranslation(*point, axes.transData)
            axes.add_artist(Circle((0, 0), DOT, color=COLORS[name], transform=place, clip_on=False))
    axes.set_ylabel(label, color=COLORS[name])
    axes.tick_params(axis="y", left=False, right=False, colors=COLORS[name])
