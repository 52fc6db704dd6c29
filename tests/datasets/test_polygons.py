"""The two rules by which polygons become pixels."""

import math

import numpy as np
import pytest

from deeplab_ksac.datasets import polygons


def drawn_by_rows(corners, height, width):
    runs = polygons.by_rows([polygons.corners_of(corners)], height, width)
    return polygons.layered(*runs, np.ones(1, np.uint8), 0, height * width).reshape(height, width)


def drawn_by_columns(corners, height, width):
    flat = np.zeros(height * width, np.uint8)
    first, stop = polygons.by_columns(polygons.corners_of(corners), height, width)
    polygons.fill(flat, first, stop, np.ones(len(first), np.uint8))
    return flat.reshape(width, height).T


def picture(text):
    return np.array([[letter == "#" for letter in line] for line in text.split()], np.uint8)


BY_ROWS = {  # worked out by hand: for each row y the crossings x with y + 0.5, then ⌈x₀ − 0.5⌉ … ⌊x₁ + 0.5⌋
    "a box: both columns of its edges, the row of its upper edge alone": (
        [[1, 1], [4, 1], [4, 3], [1, 3]],  # rows 0.5 + {1, 2}: x 1 and 4 -> 1…4
        """......
           .####.
           .####.
           ......""",
    ),
    "concave: a U": (
        [[0, 0], [2, 0], [2, 2], [4, 2], [4, 0], [6, 0], [6, 3], [0, 3]],
        """###.###
           ###.###
           #######
           .......""",  # rows 0, 1: x 0 2 4 6 -> 0…2, 4…6; row 2: x 0 6
    ),
    "a slanted edge": (
        [[0, 0], [4, 0], [0, 4]],  # right edge x = 4 − y: 3.5 2.5 1.5 0.5 -> ⌊x + 0.5⌋ = 4 3 2 1
        """#####.
           ####..
           ###...
           ##....
           ......""",
    ),
    "corners on .5: a row is entered at the upper end of an edge and not at its lower one": (
        [[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]],  # rows 0.5 and 1.5, not 2.5; x -> ⌈0⌉ … ⌊4⌋
        """#####.
           #####.
           ......
           ......""",
    ),
    "a corner on .5 that points down touches its row twice and leaves it as it is": (
        [[0, 0], [5, 0], [5, 3], [2.5, 1.5], [0, 3]],
        # row 1.5: x = 0 5, and the two edges that meet at (2.5, 1.5) begin there: 2.5 2.5 -> 0…3, 2…5
        # row 2.5: left (0, 3)-(2.5, 1.5) x = 2.5/3 -> 0…⌊1.33⌋, right x = 5 − 2.5/3 -> ⌈3.67⌉…5
        """######
           ######
           ##..##
           ......""",
    ),
    "self-crossing: a bow tie": (
        [[0, 0], [4, 4], [4, 0], [0, 4]],
        # row 0.5: 0 0.5 3.5 4 -> 0…1, 3…4; row 1.5: 0 1.5 2.5 4 -> 0…2, 2…4; rows 2, 3 mirror them
        """##.##
           #####
           #####
           ##.##
           .....""",
    ),
    "self-crossing: what an outline goes around twice is not covered": (
        [[0, 0], [6, 0], [6, 5], [0, 5], [0, 0], [2, 1], [4, 1], [4, 3], [2, 3], [2, 1]],
        # rows 1, 2: x 0 2 4 6 -> 0…2, 4…6, besides the seam from (0, 0) to (2, 1), which is passed twice:
        # row 0: x 0 1 1 6 -> 0…1, 1…6 (⌈0.5⌉ = 1)
        """#######
           ###.###
           ###.###
           #######
           #######
           .......""",
    ),
    "outside of the frame on all sides": (
        [[-3, -3], [9, -3], [9, 9], [-3, 9]],
        """###
           ###""",
    ),
    "outside of the frame on the left alone": (
        [[-5, 0], [-2, 0], [-2, 2], [-5, 2]],
        """...
           ...""",
    ),
    "partly outside": (
        [[-2, -2], [1, -2], [1, 1], [-2, 1]],
        """##.
           ...""",
    ),
    "a polygon thinner than a pixel": (
        [[1.2, 0], [1.3, 0], [1.3, 2], [1.2, 2]],  # ⌈0.7⌉ … ⌊1.8⌋
        """.#..
           .#..
           ....""",
    ),
    "two corners": (
        [[0, 0], [3, 3]],  # the edge there and back: x = 0.5 -> 0…1, 1.5 -> 1…2, 2.5 -> 2…3
        """##..
           .##.
           ..##
           ....""",
    ),
    "only horizontal": ([[0, 1], [3, 1], [2, 1]], "....\n....\n...."),
    "a point": ([[1, 1]], "...\n..."),
    "nothing": ([], "...\n..."),
}


@pytest.mark.parametrize("name", BY_ROWS)
def test_by_rows_is_the_rule_worked_out_by_hand(name):
    corners, text = BY_ROWS[name]
    expected = picture(text)
    np.testing.assert_array_equal(drawn_by_rows(corners, *expected.shape), expected)


def literal_by_rows(corners, height, width):
    """The rule as it is written, row by row and pixel by pixel."""
    found = np.zeros((height, width), np.uint8)
    points = np.float32(corners).reshape(-1, 2)
    for y in range(height):
        middle, crossings = np.float32(y + 0.5), []
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
            if min(y0, y1) <= middle < max(y0, y1):
                crossings.append(float((middle - y0) * ((x1 - x0) / (y1 - y0)) + x0))
        crossings.sort()
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            for x in range(math.ceil(left - 0.5), math.floor(right + 0.5) + 1):
                if 0 <= x < width:
                    found[y, x] = 1
    return found


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("step", [1, 0.5, 0.01])
def test_by_rows_is_the_rule_on_random_polygons(seed, step):
    rng = np.random.default_rng(seed)
    corners = np.round(rng.uniform(-10, 40, (rng.integers(3, 12), 2)) / step) * step
    np.testing.assert_array_equal(drawn_by_rows(corners, 24, 31), literal_by_rows(corners, 24, 31))


@pytest.mark.parametrize("count", [0, 1, 2, 53, 54, 150])
def test_later_polygons_cover_earlier_ones(count):
    rng = np.random.default_rng(count)
    outlines = [rng.uniform(-5, 35, (rng.integers(0, 7), 2)) for _ in range(count)]
    values, expected = rng.integers(0, 256, count).astype(np.uint8), np.full((24, 31), 9)
    for corners, value in zip(outlines, values):
        expected[literal_by_rows(corners, 24, 31) == 1] = value
    labels = polygons.layered(*polygons.by_rows(outlines, 24, 31), values, 9, 24 * 31)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels.reshape(24, 31), expected)


def test_several_polygons_are_drawn_at_once_and_in_order():
    outlines = [[[0, 0], [3, 0], [3, 3]], [], [[1, 1], [5, 1], [5, 2], [1, 2]], [[2, 2]]]
    number, first, stop = polygons.by_rows([polygons.corners_of(corners) for corners in outlines], 5, 7)
    assert number.tolist() == sorted(number) and set(number.tolist()) == {0, 2}
    for i in (0, 2):
        flat = np.zeros(35, np.uint8)
        for a, b in zip(first[number == i], stop[number == i]):
            flat[a:b] += 1  # no pixel twice
        np.testing.assert_array_equal(flat.reshape(5, 7), literal_by_rows(outlines[i], 5, 7))
    assert [len(part) for part in polygons.by_rows([], 5, 7)] == [0, 0, 0]


def test_by_columns_covers_the_pixels_between_whole_corners():
    expected = np.zeros((5, 7), np.uint8)
    expected[1:3, 2:6] = 1
    np.testing.assert_array_equal(drawn_by_columns([[2, 1], [6, 1], [6, 3], [2, 3]], 5, 7), expected)
    np.testing.assert_array_equal(drawn_by_columns([[-9, -9], [99, -9], [99, 99], [-9, 99]], 5, 7), np.ones((5, 7)))
    np.testing.assert_array_equal(drawn_by_columns([[-9, 0], [-2, 0], [-2, 4]], 5, 7), np.zeros((5, 7)))


@pytest.mark.parametrize("seed", range(60))
def test_by_columns_is_what_pycocotools_draws(seed):
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 50, 2).tolist()
    corners = rng.uniform(-15, 60, (rng.integers(3, 30), 2))
    if seed % 3:
        corners = np.round(corners, seed % 3 - 1)
    if seed % 2:
        corners = np.clip(corners, 0, [width, height])
    (runs,) = mask.frPyObjects([corners.ravel().tolist()], height, width)
    np.testing.assert_array_equal(drawn_by_columns(corners, height, width), mask.decode(runs))


@pytest.mark.parametrize(
    "points", [[1, 2], [[1, 2, 3]], [[1, 2], [3]], [["a", "b"]], [[float("nan"), 1]], 5, [[10**400, 1]], ["12"], None]
)
def test_what_is_no_list_of_corners_is_refused(points):
    with pytest.raises((ValueError, TypeError)):
        polygons.corners_of(points)
