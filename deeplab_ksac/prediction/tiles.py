"""An image too large to be seen at once, as tiles that overlap: what each one sees, and what is kept of it."""

import dataclasses

MAX_PIXELS = 4 * 2**20  # of what a model sees at once
TILE_SIDE = 1025
TILE_MARGIN = 128


@dataclasses.dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels of the image: it sees [start, stop), and [first, last) of that is kept."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def seen(self) -> slice:
        """What the tile sees, as a slice of the image."""
        return slice(self.start, self.stop)

    @property
    def kept(self) -> slice:
        """What is kept of the tile, as a slice of the image."""
        return slice(self.first, self.last)

    @property
    def inside(self) -> slice:
        """What is kept of the tile, as a slice of the tile."""
        return slice(self.first - self.start, self.last - self.start)


def spans(size: int, side: int, margin: int) -> list[Span]:
    """The tiles along an axis: what they keep covers it once, in order.

    Every kept pixel is at least `margin` away from the ends of its tile, unless those are the image's own. All
    tiles are `side` long, the last flush with the end; one of the axis' length where that is shorter.

    Args:
        size: length of the axis.
        side: length of a tile.
        margin: what is seen beyond what is kept; two of them must leave something of a tile.

    Raises:
        ValueError: for margins that leave nothing, or a size or margin that make no sense.
    """
    if size < 1 or margin < 0 or side <= 2 * margin:
        raise ValueError(f"tiles of side {side} with a margin of {margin} on each side cannot cover {size} pixels")
    if size <= side:
        return [Span(0, size, 0, size)]
    found, first = [], 0
    while first < size:
        start = min(max(first - margin, 0), size - side)
        last = size if start + side >= size else start + side - margin
        found.append(Span(start, start + side, first, last))
        first = last
    return found


def tiles(height: int, width: int, *, side: int, margin: int) -> list[tuple[Span, Span]]:
    """The tiles of an image as pairs of `Span`s (rows, columns), row by row; arguments as `spans`."""
    columns = spans(width, side, margin)
    return [(rows, column) for rows in spans(height, side, margin) for column in columns]
