"""How costs grow, as SVG: a panel for each thing that they grow with, logarithmic axes, theory dashed beside it."""

import dataclasses
import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from deeplab_ksac.figures.learning_curves import GRAY, SETTINGS

PANEL = (3.1, 3.6)  # inches
COLUMNS = 3
COLORS = ("#3b6fb6", "#c2571a", "#2f8f5b", "#8d5fb0", "#a8832c")  # told apart on white and on black
DASHES = (0, (4, 3))
NARROW = 150  # an axis from a to b of which b/a is smaller has marks at 2 and 5, too
MANY = 1e6  # from here on numbers are written with their power of ten


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """A cost at several sizes.

    Attributes:
        name: what costs.
        sizes: ascending and positive.
        costs: at these sizes, positive; they are shown as multiples of the first.
        exponent: of the power law that was found.
        theory: the exponent that it should have.
    """

    name: str
    sizes: Sequence[float]
    costs: Sequence[float]
    exponent: float
    theory: float


def svg(panels: Mapping[str, Sequence[PowerLaw]], *, title: str = "") -> str:
    """The text of an SVG on a transparent ground; the same numbers give the same text.

    Args:
        panels: {what the costs grow with: its curves}.
        title: of the document, for readers who do not see it.
    """
    rows = -(-len(panels) // COLUMNS)
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": "power laws"}):
        figure = Figure(figsize=(COLUMNS * PANEL[0], rows * PANEL[1]), layout="constrained")
        for number, (by, laws) in enumerate(panels.items(), start=1):
            _draw(figure.add_subplot(rows, COLUMNS, number), by, laws)
        buffer = io.StringIO()
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata={**unsaid, "Title": title})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1)


def _draw(axes: Axes, by, laws):
    """One panel."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for color, law in zip(COLORS, laws, strict=False):
        ends = [law.sizes[0], law.sizes[-1]]
        label = f"{law.name}: {law.exponent:.2f} ({law.theory:g})"
        axes.plot(law.sizes, [cost / law.costs[0] for cost in law.costs], color=color, marker="o", ms=3.5, label=label)
        axes.plot(ends, [(end / ends[0]) ** law.theory for end in ends], color=color, lw=0.9, ls=DASHES)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.5), max(high, 4.0))  # what does not grow is not magnified
    for axis in (axes.xaxis, axes.yaxis):
        narrow = np.divide(*sorted(axis.get_view_interval(), reverse=True)) < NARROW
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < MANY else f"{value:.0e}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(by, color=GRAY)
    axes.set_ylabel("times the first", color=GRAY)
    axes.grid(color=GRAY, alpha=0.3, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRAY)
    axes.tick_params(which="both", colors=GRAY)
    options = {"fontsize": 8, "frameon": False, "labelcolor": GRAY, "alignment": "left"}
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), **options)
    legend.set_title("exponent (theory)", prop={"size": 8})
    legend.get_title().set_color(GRAY)
