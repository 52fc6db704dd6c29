"""Polygons -> the pixels that they cover, by the rules of those who drew the labels.

A polygon is float or integer [n, 2], (x, y) of its corners, closed by itself; of what crosses itself, the parts that an
odd number of turns goes around are covered (even-odd rule). Two rules are in use, and along outlines they differ:

* `by_rows`, Cityscapes' own: whatever a row's middle line crosses, widened to whole pixels. It reproduces the
  makers' labelIds.
* `by_columns`, COCO's own (pycocotools): pixel (i, j) is the square from (i, j) to (i + 1, j + 1), and is covered where
  the outline, drawn on a grid of a fifth of a pixel, passes above its middle. CVAT's exports of masks use it as well.
"""

import itertools
from collections.abc import Sequence

import numpy as np

UPSAMPLED = 5  # pycocotools' grid: points of it a pixel
FARTHEST = 200_000  # pixels, three times the longest side of a picture
TOLD_APART = 53  # bits of a whole number that a float64 holds exactly


def corners_of(points: Sequence[Sequence[float]]) -> np.ndarray:
    """A list of (x, y) as float64 [n, 2].

    Raises:
        ValueError: it is none, or a number is not finite.
    """
    try:
        if isinstance(points, list) and set(map(type, points)) == {list} and set(map(len, points)) == {2}:
            numbers = itertools.chain.from_iterable(points)  # in half the time of NumPy's
            corners = np.fromiter(numbers, np.float64, 2 * len(points)).reshape(-1, 2)
        else:
            corners = np.array(points, np.float64).reshape(-1, 2) if len(points) == 0 else np.array(points, np.float64)
    except OverflowError as error:
        raise ValueError(f"a polygon has a number that is too large: {error}") from None
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise ValueError(f"a polygon of {len(points)} corners is no list of [x, y]")
    if not np.isfinite(corners).all():
        raise ValueError(f"a polygon has {np.count_nonzero(~np.isfinite(corners))} numbers that are not finite")
    return corners


def fill(flat: np.ndarray, first: np.ndarray, stop: np.ndarray, values: np.ndarray) -> None:
    """Writes a value 0…255 into each run of a flat uint8 map, in order: later runs cover earlier ones."""
    pixels, longest = memoryview(flat), int((stop - first).max(initial=0))
    lines = {value: memoryview(bytes([value]) * longest) for value in set(values.tolist())}
    for start, end, value in zip(first.tolist(), stop.tolist(), values.tolist(), strict=True):
        pixels[start:end] = lines[value][: end - start]  # in half the time of NumPy's


def by_rows(outlines: Sequence[np.ndarray], height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of covered pixels by Cityscapes' rule, polygon after polygon and row after row.

    For each pixel row y, the edges that are not horizontal are intersected with y + 0.5, in float32 as the makers'
    library did, and sorted; each pair x₀, x₁ covers ⌈x₀ − 0.5⌉ … ⌊x₁ + 0.5⌋. An edge counts from its upper end to
    above its lower one, so that each row is crossed an even number of times, also where a corner lies at .5.
    The outline itself is not drawn. What lies outside of the map is cut away. No two runs of a polygon overlap.

    Args:
        outlines: polygons [n, 2] each.
        height: H, of the map.
        width: W, of the map.

    Returns:
        (number of the polygon, first pixel, pixel behind the last) of each run, int64; pixels as in the flat map [H·W].

    Raises:
        ValueError: a corner that is farther away than a picture's can be.
    """
    sizes = np.array([len(corners) for corners in outlines], np.int64)
    stops = np.cumsum(sizes)
    polygon = np.repeat(np.arange(len(sizes)), sizes)
    following = np.arange(1, len(polygon) + 1)
    following[stops[sizes > 0] - 1] -= sizes[sizes > 0]
    corners = np.concatenate([np.zeros((0, 2)), *outlines])
    _check_reach(corners)
    x0, y0 = corners.astype(np.float32).T
    x1, y1 = x0[following], y0[following]
    top = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(np.int64)
    stop = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(np.int64)
    crossed = top < stop  # by a row's middle; horizontal edges are not
    x0, y0, x1, y1, top, count, polygon = (values[crossed] for values in (x0, y0, x1, y1, top, stop - top, polygon))
    slope, bits = (x1 - x0) / (y1 - y0), height.bit_length()
    line = np.arange(count.sum()) + np.repeat((polygon << bits) + top - np.cumsum(count) + count, count)
    row = (line & (1 << bits) - 1).astype(np.float32)
    crossing = (row + np.float32(0.5) - np.repeat(y0, count)) * np.repeat(slope, count) + np.repeat(x0, count)
    line, crossing = _sorted(line, crossing)
    line, crossing = line[::2], crossing.astype(np.float64)
    first = np.clip(np.ceil(crossing[::2] - 0.5), 0, width).astype(np.int64)
    stop = np.clip(np.floor(crossing[1::2] + 0.5) + 1, 0, width).astype(np.int64)
    np.maximum(first[1:], stop[:-1], out=first[1:], where=line[1:] == line[:-1])  # what the run before has covered
    inside = first < stop
    line, first, stop = line[inside], first[inside], stop[inside]
    row = (line & (1 << bits) - 1) * width
    return line >> bits, row + first, row + stop


def layered(
    polygon: np.ndarray, first: np.ndarray, stop: np.ndarray, values: np.ndarray, unlabeled: int, size: int
) -> np.ndarray:
    """The flat map of what is seen of polygons that cover each other: uint8 [size].

    Where a run begins or ends, the set of the polygons that cover a pixel changes, by one bit of a whole number; the
    highest bit is the polygon on top. As many polygons as a float64 tells apart are looked at at a time.

    Args:
        polygon: the number of each run's polygon; later polygons cover earlier ones. Runs of one do not overlap.
        first: its first pixel.
        stop: the pixel behind its last.
        values: uint8, of each polygon.
        unlabeled: the value of the pixels in no polygon.
        size: H·W, of the map.
    """
    bits = len(values).bit_length()
    changes = np.sort(np.concatenate([first << bits | polygon, stop << bits | polygon]))
    pixel, changed = changes >> bits, changes & (1 << bits) - 1
    last = np.flatnonzero(np.diff(pixel, append=size + 1))  # of the changes at a pixel
    seen = np.full(len(last), unlabeled, np.uint8)
    for begin in range(0, len(values), TOLD_APART):
        some = values[begin : begin + TOLD_APART]
        bit = np.zeros(len(values), np.int64)
        bit[begin : begin + len(some)] = 1 << np.arange(len(some))
        covering = np.bitwise_xor.accumulate(bit[changed])[last]
        top = np.frexp(covering.astype(np.float64))[1]  # the place of the highest bit, 0 for none
        seen = np.where(top > 0, some[top - 1], seen)
    seen = np.append(np.uint8(unlabeled), seen)
    return np.repeat(seen, np.diff(pixel[last], prepend=0, append=size))


def _sorted(line, crossing):
    """Crossings float32 by line (0 … 2³¹ − 1) and within it by size: (lines, crossings), sorted as one number each.

    The bits of a float32 are in its order, if those of negative ones are turned.
    """
    bits = (crossing + np.float32(0)).view(np.int32)  # −0 becomes 0
    bits = bits ^ (bits >> 31 & 0x7FFFFFFF)
    keys = (line << 32) + bits
    keys.sort()
    bits = keys.astype(np.int32)  # the lower half
    line = (keys - bits) >> 32
    return line, (bits ^ (bits >> 31 & 0x7FFFFFFF)).view(np.float32)


def by_columns(corners: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs of covered pixels by COCO's rule: (first, behind the last) in the flat map [W·H], column after column.

    The outline is drawn on a grid five times as fine. Where it passes a pixel column's middle, the pixels below change
    between covered and not. Equal to what pycocotools' `frPyObjects` makes of the same numbers.

    Args:
        corners: [n, 2].
        height: H, of the map.
        width: W, of the map.

    Raises:
        ValueError: a corner so far away that its outline would fill the memory.
    """
    _check_reach(corners)
    fine = np.trunc(UPSAMPLED * np.asarray(corners, np.float64) + 0.5).astype(np.int64)
    x, y = _outline(fine)
    left, right = x[:-1], x[1:]
    column = (np.minimum(left, right) + 0.5) / UPSAMPLED - 0.5
    crossed = (left != right) & (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    column = column[crossed].astype(np.int64)
    row = (np.minimum(y[:-1], y[1:])[crossed] + 0.5) / UPSAMPLED - 0.5
    row = np.ceil(np.clip(row, 0, height)).astype(np.int64)
    places = np.sort(column * height + row)
    return _odd(places, height * width)


def _check_reach(corners):
    farthest = np.abs(corners).max(initial=0)
    if farthest > FARTHEST:
        raise ValueError(f"a polygon has a corner at {farthest:g}, farther than {FARTHEST} pixels away")


def _outline(corners):
    """The points (x, y) of the closed outline on the fine grid: int64 [m] each."""
    start, end = corners, np.roll(corners, -1, axis=0)
    reach = np.abs(end - start)
    steep = reach[:, 0] < reach[:, 1]
    main, cross = steep.astype(np.int64), (~steep).astype(np.int64)  # the axis along which the points are counted
    edges = np.arange(len(corners))
    backward = start[edges, main] > end[edges, main]
    low, high = np.where(backward[:, None], end, start), np.where(backward[:, None], start, end)
    count = reach.max(axis=1) + 1
    edge = np.repeat(edges, count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    step = np.where(backward[edge], count[edge] - 1 - step, step)
    slope = (high - low)[edges, cross] / np.maximum(count - 1, 1)
    along = low[edges, main][edge] + step
    across = np.trunc(low[edges, cross][edge] + slope[edge] * step + 0.5).astype(np.int64)
    return np.where(steep[edge], across, along), np.where(steep[edge], along, across)


def _odd(places, size):
    """(first, stop) of the runs in which an odd number of the sorted `places` has been passed."""
    if len(places) % 2:
        places = np.append(places, size)
    first, stop = places[::2], places[1::2]
    inside = first < stop
    return first[inside], stop[inside]
