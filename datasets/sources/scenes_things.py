"""What stands in the pictures of `scenes`: each blueprint draws one thing of its kind, a list of `Part`s."""

from collections.abc import Sequence

import numpy as np

from deeplab_ksac.datasets.sources.scenes_painting import Part, box, jitter

PAINTS = ((0.75, 0.12, 0.10), (0.12, 0.25, 0.60), (0.85, 0.85, 0.85), (0.15, 0.15, 0.17), (0.55, 0.56, 0.58))
CLOTHES = (*PAINTS, (0.80, 0.60, 0.15), (0.20, 0.45, 0.25), (0.45, 0.30, 0.50))
WALLS = ((0.85, 0.80, 0.68), (0.62, 0.32, 0.24), (0.80, 0.80, 0.78), (0.70, 0.58, 0.42), (0.55, 0.62, 0.66))
FURS = ((0.90, 0.88, 0.84), (0.45, 0.28, 0.16), (0.15, 0.13, 0.12), (0.65, 0.50, 0.35))
SKINS = ((0.88, 0.70, 0.58), (0.62, 0.44, 0.32), (0.40, 0.27, 0.20))


def pick(rng: np.random.Generator, colors: Sequence[Sequence[float]], amount: float = 0.04) -> np.ndarray:
    """One of the colors, a little changed."""
    return jitter(rng, colors[rng.integers(len(colors))], amount)


def house(rng: np.random.Generator) -> list[Part]:
    """Walls with a door and rows of windows under a gable, hipped or flat roof."""
    half, eaves = rng.uniform(0.35, 0.75), rng.uniform(0.55, 0.75)
    wall, glass = pick(rng, WALLS), jitter(rng, (0.25, 0.32, 0.40))
    roof = pick(rng, ((0.45, 0.20, 0.15), (0.30, 0.30, 0.33), (0.50, 0.38, 0.28)))
    ridge = rng.choice((0.0, 0.55, 0.95)) * half
    parts = [
        box(-half, 0, half, eaves, wall, grain=0.08),
        Part("polygon", (-half - 0.06, eaves, -ridge - 0.01, 1.0, ridge + 0.01, 1.0, half + 0.06, eaves), roof),
    ]
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    for column in np.linspace(-half, half, 2 * columns + 1)[1::2]:
        for row in np.linspace(0, eaves, 2 * rows + 1)[1::2]:
            parts.append(box(column - 0.06, row - 0.07, column + 0.06, row + 0.08, glass))
    door = rng.uniform(-0.6, 0.6) * half
    return [*parts, box(door - 0.06, 0, door + 0.06, 0.26, pick(rng, CLOTHES))]


def tree(rng: np.random.Generator) -> list[Part]:
    """A trunk under a crown of rough ellipses, or a conifer of stacked triangles."""
    green = jitter(rng, rng.choice(((0.14, 0.30, 0.10), (0.25, 0.38, 0.12), (0.45, 0.36, 0.14)), p=(0.5, 0.35, 0.15)))
    trunk = box(-0.035, 0, 0.035, 0.5, jitter(rng, (0.30, 0.21, 0.14)), grain=0.12)
    if rng.uniform() < 0.3:
        tiers = [(0.12, 0.30), (0.35, 0.24), (0.58, 0.17)]
        return [
            trunk,
            *(
                Part("polygon", (-half, low, 0, low + 0.42, half, low), green, rough=0.03, grain=0.1)
                for low, half in tiers
            ),
        ]
    crown = [
        Part(
            "ellipse",
            (rng.uniform(-0.15, 0.15), rng.uniform(0.55, 0.78), rng.uniform(0.18, 0.3), rng.uniform(0.16, 0.24)),
            jitter(rng, green, 0.02),
            rough=0.07,
            grain=0.12,
        )
        for _ in range(rng.integers(3, 6))
    ]
    return [trunk, *crown]


def car(rng: np.random.Generator) -> list[Part]:
    """Body, cabin with windows, two wheels, lights."""
    paint, rubber, glass = pick(rng, PAINTS), (0.07, 0.07, 0.08), jitter(rng, (0.30, 0.36, 0.42))
    front, back, roof = rng.uniform(0.9, 1.15), rng.uniform(0.9, 1.15), rng.uniform(0.35, 0.7)
    return [
        Part("polygon", (-back, 0.16, -back, 0.55, front - 0.1, 0.58, front, 0.45, front, 0.16), paint),
        Part("polygon", (-roof - 0.3, 0.54, -roof, 1.0, roof - 0.1, 1.0, roof + 0.25, 0.54), paint),
        Part("polygon", (-roof - 0.14, 0.58, -roof + 0.08, 0.92, -0.08, 0.92, -0.08, 0.58), glass),
        Part("polygon", (0.0, 0.58, 0.0, 0.92, roof - 0.15, 0.92, roof + 0.1, 0.58), glass),
        Part("ellipse", (-back * 0.6, 0.19, 0.2, 0.2), rubber),
        Part("ellipse", (front * 0.6, 0.19, 0.2, 0.2), rubber),
        Part("ellipse", (-back * 0.6, 0.19, 0.09, 0.09), (0.6, 0.6, 0.6)),
        Part("ellipse", (front * 0.6, 0.19, 0.09, 0.09), (0.6, 0.6, 0.6)),
        box(front - 0.12, 0.36, front - 0.01, 0.46, (0.95, 0.9, 0.7)),
    ]


def person(rng: np.random.Generator) -> list[Part]:
    """Legs, trunk, arms and head, standing or in stride."""
    top, trousers, skin = pick(rng, CLOTHES), pick(rng, CLOTHES), pick(rng, SKINS, 0.02)
    stride, arm = rng.uniform(0.02, 0.16), rng.uniform(0.02, 0.14)
    return [
        Part("polygon", (-stride - 0.05, 0, -0.08, 0.5, 0.02, 0.5, -stride + 0.03, 0), trousers),
        Part("polygon", (stride - 0.03, 0, -0.02, 0.5, 0.08, 0.5, stride + 0.05, 0), trousers),
        Part("polygon", (-0.12 - arm, 0.45, -0.13, 0.8, -0.05, 0.8, -0.05 - arm, 0.43), top),
        Part("polygon", (0.05 + arm, 0.43, 0.05, 0.8, 0.13, 0.8, 0.12 + arm, 0.45), top),
        Part("polygon", (-0.10, 0.45, -0.13, 0.82, 0.13, 0.82, 0.10, 0.45), top),
        Part("ellipse", (0, 0.91, 0.075, 0.09), skin),
        Part("ellipse", (-0.01, 0.955, 0.08, 0.05), pick(rng, FURS)),
    ]


def boat(rng: np.random.Generator) -> list[Part]:
    """A hull with a cabin, or with a mast and sails."""
    hull = pick(rng, PAINTS)
    half = rng.uniform(0.35, 0.6)
    body = Part("polygon", (-half * 0.75, 0, -half, 0.2, half * 1.2, 0.24, half * 0.8, 0), hull)
    if rng.uniform() < 0.6:
        sail = pick(rng, ((0.93, 0.92, 0.88), (0.90, 0.90, 0.92), (0.75, 0.25, 0.18)))
        return [
            box(-0.015, 0.2, 0.015, 1.0, (0.35, 0.25, 0.18)),
            Part("polygon", (-half * 0.85, 0.28, -0.03, 0.96, -0.03, 0.28), sail),
            Part("polygon", (0.03, 0.28, 0.03, 0.85, half * 0.9, 0.28), jitter(rng, sail, 0.02)),
            body,
        ]
    cabin, flat = jitter(rng, (0.85, 0.85, 0.83)), 1.0 / 0.6
    low = [Part(p.shape, tuple(np.multiply(p.points, flat)), p.color) for p in (body,)]
    return [
        box(-half * 0.7, 0.3, half * 0.5, 0.75, cabin),
        box(-half * 0.5, 0.5, half * 0.3, 0.66, (0.2, 0.27, 0.33)),
        *low,
    ]


def animal(rng: np.random.Generator) -> list[Part]:
    """Four legs, a body, often spotted, neck and head."""
    fur = pick(rng, FURS)
    legs = [box(x - 0.05, 0, x + 0.05, 0.5, np.multiply(fur, 0.8)) for x in (-0.42, -0.28, 0.28, 0.42)]
    spots = [
        Part("ellipse", (rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.7), 0.11, 0.08), pick(rng, FURS), rough=0.02)
        for _ in range(rng.integers(0, 4))
    ]
    return [
        *legs,
        Part("ellipse", (0, 0.6, 0.55, 0.24), fur, rough=0.02, grain=0.1),
        *spots,
        Part("polygon", (0.38, 0.6, 0.5, 0.92, 0.66, 0.88, 0.58, 0.5), fur),
        Part("ellipse", (0.64, 0.88, 0.17, 0.11), fur),
        Part("ellipse", (0.54, 0.97, 0.04, 0.06), np.multiply(fur, 0.7)),
    ]


def ball(rng: np.random.Generator) -> list[Part]:
    """A disc with a band."""
    return [
        Part("ellipse", (0, 0.5, 0.5, 0.5), pick(rng, CLOTHES), grain=0.03),
        Part("ellipse", (0, 0.5, 0.5, 0.15), pick(rng, CLOTHES), grain=0.03),
    ]
