"""The brushes of `scenes`: noise, ground textures in perspective, and things made of a few convex parts.

Single numbers that meet an array of float32 are Python's, not NumPy's: NumPy 2 would go on in float64 with those, and
NumPy 1 in float32, and the pictures would differ.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

LATTICE = 64
GRAIN = 0.06  # of most surfaces


@dataclasses.dataclass(frozen=True)
class View:
    """A camera above a plane: every pixel below the horizon is a point of the ground.

    Attributes:
        rows, columns: pixel coordinates [H, W].
        horizon: row at which the ground ends.
        nearness: [H, W], 1 at the lowest row, falling to 0 at the horizon and above; sizes are proportional to it.
        across, away: [H, W], ground coordinates, in image widths at the lowest row.
    """

    rows: np.ndarray
    columns: np.ndarray
    horizon: float
    nearness: np.ndarray
    across: np.ndarray
    away: np.ndarray

    @classmethod
    def at(cls, horizon: float, size: tuple[int, int]) -> "View":
        """The view of an image of `size` (height, width) with its horizon at the share `horizon` of the height."""
        height, width = size
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        row = horizon * height
        nearness = np.clip((rows - row) / (height - 1 - row), 0.0, 1.0)
        near = np.maximum(nearness, 0.02)
        return cls(rows, columns, row, nearness, (columns - width / 2) / width / near, 1 / near)


def noise(
    rng: np.random.Generator, across: np.ndarray, away: np.ndarray, *, octaves: int = 4, persistence: float = 0.55
) -> np.ndarray:
    """Smooth noise of several octaves at the given coordinates, in lattice cells: about −1…1."""
    total, weight, amount = 0.0, 1.0, 0.0
    at = np.stack([away, across]).astype(np.float32)
    lattice = rng.uniform(-1, 1, (LATTICE, LATTICE)).astype(np.float32)
    for octave in range(octaves):
        shift = rng.uniform(0, LATTICE, (2, 1, 1)).astype(np.float32)
        moved = at * np.float32(2**octave) + shift
        total = total + weight * ndimage.map_coordinates(lattice, moved, order=1, mode="grid-wrap")
        amount, weight = amount + weight, weight * persistence
    return total / amount * 1.6


def mix(a: ArrayLike, b: ArrayLike, share: ArrayLike) -> np.ndarray:
    """a where `share` is 0, b where it is 1; `share` [...] broadcasts over colors [..., 3]."""
    a = np.asarray(a)
    return a + (np.asarray(b) - a) * np.asarray(share)[..., np.newaxis]


def jitter(rng: np.random.Generator, color: ArrayLike, amount: float = 0.05) -> np.ndarray:
    """A color near `color`: its brightness moves more than its hue."""
    return np.clip(np.asarray(color) * rng.uniform(1 - 3 * amount, 1 + 3 * amount) + rng.normal(0, amount, 3), 0, 1)


def paint_sky(rng: np.random.Generator, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Zenith fading to the horizon, with clouds: clear, broken, overcast or at dusk."""
    zenith, haze, cloud = (
        ((0.25, 0.45, 0.80), (0.75, 0.85, 0.95), (0.97, 0.97, 0.97)),
        ((0.35, 0.55, 0.85), (0.80, 0.86, 0.92), (0.90, 0.90, 0.92)),
        ((0.55, 0.58, 0.62), (0.75, 0.76, 0.77), (0.45, 0.47, 0.50)),
        ((0.35, 0.35, 0.60), (0.95, 0.70, 0.50), (0.85, 0.55, 0.50)),
    )[rng.choice(4, p=(0.35, 0.3, 0.22, 0.13))]
    height = np.clip(1 - view.rows / max(view.horizon, 1), 0, 1)
    haze = jitter(rng, haze, 0.03)
    color = mix(haze, jitter(rng, zenith, 0.03), height**0.8)
    clouds = noise(rng, view.columns / 45, view.rows / 22, octaves=5)
    cover = np.clip((clouds - rng.uniform(-0.3, 0.5)) * 2.2, 0, 1) * rng.uniform(0.4, 1.0)
    return mix(color, mix(cloud, np.full(3, 0.55), np.clip(clouds - 0.4, 0, 0.5)), cover), haze


def paint_grass(rng: np.random.Generator, view: View) -> np.ndarray:
    """Blades and patches, from lush to dry."""
    color = mix(jitter(rng, (0.24, 0.42, 0.14)), jitter(rng, (0.55, 0.52, 0.25)), rng.beta(1.2, 2.5))
    patches = noise(rng, view.across * 6, view.away * 3)
    blades = noise(rng, view.columns / 1.6, view.rows / 4, octaves=2) * np.sqrt(view.nearness)
    return _toned(color, 0.18 * patches + 0.22 * blades)


def paint_sand(rng: np.random.Generator, view: View) -> np.ndarray:
    """Ripples and grains."""
    color = mix(jitter(rng, (0.80, 0.70, 0.52)), jitter(rng, (0.55, 0.45, 0.35)), rng.beta(1.2, 2.5))
    bends = noise(rng, view.across * 4, view.away * 2, octaves=3)
    ripples = np.sin(view.away * rng.uniform(25, 45) + 7 * bends) * np.clip(view.nearness - 0.15, 0, 1)
    grains = rng.normal(0, 1, view.rows.shape)
    return _toned(color, 0.08 * bends + 0.07 * ripples + 0.05 * grains)


def paint_road(rng: np.random.Generator, view: View, lane: np.ndarray | None = None) -> np.ndarray:
    """Asphalt with patches; `lane` [H, W], the position across the road from −1 to 1, gets markings."""
    color = jitter(rng, np.full(3, rng.uniform(0.25, 0.5)), 0.02)
    grains = rng.normal(0, 1, view.rows.shape)
    surface = _toned(color, 0.10 * noise(rng, view.across * 5, view.away * 4) + 0.06 * grains)
    if lane is not None:
        dashes = (np.abs(lane) < 0.035) & (np.sin(view.away * rng.uniform(5, 9)) > -0.2)
        edges = np.abs(np.abs(lane) - 0.88) < 0.03
        surface = mix(surface, jitter(rng, (0.85, 0.85, 0.80), 0.03), 0.8 * (dashes | edges))
    return surface


def paint_water(rng: np.random.Generator, view: View, haze: np.ndarray) -> np.ndarray:
    """Waves that flatten towards the horizon and reflect the sky there."""
    color = mix(jitter(rng, (0.10, 0.30, 0.42)), jitter(rng, (0.20, 0.38, 0.32)), rng.uniform())
    waves = noise(rng, view.across * 9, view.away * 22 + view.rows / 3, octaves=3) * np.clip(view.nearness * 2, 0.2, 1)
    surface = mix(color, haze, np.clip(0.75 - 0.7 * view.nearness, 0.1, 0.75))
    return mix(_toned(surface, 0.25 * waves), np.ones(3), 0.6 * np.clip(waves - 0.55, 0, 1))


@dataclasses.dataclass(frozen=True)
class Part:
    """A convex piece of a thing, in units of the thing's height; x to the right, y upwards from where it stands.

    Attributes:
        shape: "ellipse" (center x, center y, radius x, radius y) or "polygon" (x, y of each corner, clockwise seen
            with y upwards).
        points: the numbers of the shape.
        color: (red, green, blue), 0…1.
        rough: how far noise moves the outline, in units of the height.
        grain: strength of the surface's noise.
    """

    shape: str
    points: tuple
    color: tuple
    rough: float = 0.0
    grain: float = GRAIN

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance to the outline, negative inside, in units of the height (approximate for ellipses)."""
        if self.shape == "ellipse":
            cx, cy, rx, ry = self.points
            return (np.hypot((x - cx) / rx, (y - cy) / ry) - 1) * min(rx, ry)
        corners = [(float(x), float(y)) for x, y in np.reshape(self.points, (-1, 2))]
        distance = np.full(x.shape, -np.inf)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            length = float(np.hypot(bx - ax, by - ay))
            distance = np.maximum(distance, ((ay - by) * (x - ax) + (bx - ax) * (y - ay)) / length)
        return distance


def box(left: float, bottom: float, right: float, top: float, color: ArrayLike, *, grain: float = GRAIN) -> Part:
    """A `Part` with sides along the axes."""
    return Part("polygon", (left, bottom, left, top, right, top, right, bottom), color, grain=grain)


REACH = (1.2, 0.15, 1.4)  # how far a thing extends above, below and beside its foot, in heights


def paint_thing(
    rng: np.random.Generator,
    image: np.ndarray,
    view: View,
    parts: Sequence[Part],
    *,
    foot: tuple[float, int],
    height: float,
    light: float,
    haze: tuple[np.ndarray, float],
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Paints the parts over `image`, in place.

    Args:
        image: [H, W, 3], 0…1.
        parts: the `Part`s, each over those before it.
        foot: (row, column) where the thing stands.
        height: in pixels.
        light: side the light comes from, −1 left to 1 right.
        haze: (color, share) of the air between.

    Returns:
        (window, inside): the slices of the image in which the thing lies, and there the pixels that it covers.
    """
    above, below, beside = (reach * height + 2 for reach in REACH)
    window = (
        slice(*np.clip((foot[0] - above, foot[0] + below), 0, image.shape[0]).astype(int)),
        slice(*np.clip((foot[1] - beside, foot[1] + beside), 0, image.shape[1]).astype(int)),
    )
    canvas, mirror = image[window], int(rng.choice((-1, 1)))
    x, y = (view.columns[window] - foot[1]) / height * mirror, (foot[0] - view.rows[window]) / height
    grain = rng.normal(0, 1, x.shape)
    side = 0.16 * light * mirror * x / 0.5 + 0.10 * (y - 0.5)
    bumps, leaves = 0.0, 0.0
    if any(part.rough for part in parts):
        bumps, leaves = noise(rng, x * 9, y * 9, octaves=2), 0.35 * noise(rng, x * 14, y * 14, octaves=3)
    inside = np.zeros(x.shape, bool)
    for part in parts:
        distance = (part.distance(x, y) + part.rough * bumps) * height
        shade = side + part.grain * grain + (leaves if part.rough else 0.0)
        color = mix(_toned(part.color, np.clip(shade, -0.6, 0.6)), *haze)
        canvas += np.clip(0.5 - distance, 0, 1)[..., np.newaxis] * (color - canvas)
        inside |= distance < 0.5
    return window, inside


def _toned(color, change):
    return np.clip(np.asarray(color) * (1 + np.asarray(change))[..., np.newaxis], 0, 1)
