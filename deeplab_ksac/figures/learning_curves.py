"""Learning curves of a run as SVG: the loss from the left axis, the mIoU on the validation split from the right."""

import html

WIDTH, HEIGHT, MARGIN = 520, 200, 44
COLORS = {"train/loss": "var(--loss, #3b6fb6)", "eval/miou": "var(--miou, #c2571a)"}
NAMES = {"train/loss": "loss", "eval/miou": "mIoU"}
POINTS = 400  # of a curve at most


def svg(run):
    """A run's curves, as the text of an SVG that takes its text color from where it stands."""
    last = max(run.all_steps, run.steps, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" '
        f'font-size="11" fill="currentColor" color="#777"><title>{html.escape(run.workdir)}</title>',
        f'<path d="M{MARGIN} 20V{HEIGHT - 30}H{WIDTH - MARGIN}V20" fill="none" stroke="currentColor"/>',
        f'<text x="{MARGIN}" y="{HEIGHT - 14}">0</text>',
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 14}" text-anchor="end">{last:,} steps</text>',
    ]
    for name, points in run.curves.items():
        parts += _curve(name, _thinned(points), last)
    return "\n".join([*parts, "</svg>"])


def _curve(name, points, last):
    """The polyline of one curve, and the ends of its axis."""
    values = [value for _, value in points]
    low, high = (0.0, 1.0) if name == "eval/miou" else (min(0.0, *values), max(values) or 1.0)
    height = HEIGHT - 50
    placed = [
        f"{MARGIN + (WIDTH - 2 * MARGIN) * step / last:.1f},{20 + height * (high - value) / (high - low):.1f}"
        for step, value in points
    ]
    x, anchor = (WIDTH - MARGIN + 4, "start") if name == "eval/miou" else (MARGIN - 4, "end")
    style = f'fill="none" stroke="{COLORS[name]}" stroke-width="1.5"'
    dots = "".join(f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2" {style}/>' for p in placed)
    return [
        f'<polyline points="{" ".join(placed)}" {style}/>',
        *([dots] if len(placed) < 30 else []),
        f'<text x="{x}" y="24" text-anchor="{anchor}" fill="{COLORS[name]}">{high:.3g}</text>',
        f'<text x="{x}" y="{HEIGHT - 30}" text-anchor="{anchor}" fill="{COLORS[name]}">{low:.3g}</text>',
        f'<text x="{x}" y="12" text-anchor="{anchor}" fill="{COLORS[name]}">{NAMES[name]}</text>',
    ]


def _thinned(points):
    """Every so many points, the last among them."""
    every = -(-len(points) // POINTS)
    return points[len(points) - 1 :: -every][::-1]
