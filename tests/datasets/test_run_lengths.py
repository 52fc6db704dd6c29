"""Masks as run lengths."""

import numpy as np
import pytest

from deeplab_ksac.datasets import run_lengths
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.outlines import Drawing, RunLengths, Shape


def mask_of(runs, pixels):
    mask = np.zeros(pixels, bool)
    for first, stop in zip(*runs):
        mask[first:stop] = True
    return mask


@pytest.mark.parametrize(
    ("counts", "mask"),
    [
        ([2, 3, 1], "..###."),
        ([0, 3, 3], "###..."),
        ([6], "......"),
        ([0, 6], "######"),
        ([1, 1, 0, 2, 2], ".###.."),
        ([5, 1, 0], ".....#"),
    ],
)
def test_lengths_are_in_turn_outside_and_inside(counts, mask):
    expected = [letter == "#" for letter in mask]
    assert mask_of(run_lengths.decode(counts, 6), 6).tolist() == expected
    assert mask_of(run_lengths.decode(run_lengths.encode(np.array(expected)), 6), 6).tolist() == expected


def test_an_empty_mask_has_no_lengths():
    assert len(run_lengths.decode(run_lengths.encode(np.zeros(0, bool)), 0)[0]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_compressed_lengths_are_pycocotools_own(seed):
    tools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 200, 2)
    mask = np.repeat(rng.random(height * width // 7 + 1) < 0.4, 7)[: height * width].reshape(height, width)
    text = tools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    for counts in (text, text.decode()):
        np.testing.assert_array_equal(mask_of(run_lengths.decode(counts, mask.size), mask.size), mask.T.ravel())


def test_compressed_lengths_by_hand():
    """6, 1, 40, 4, 5: 40 = 8 + 32·1 -> 5 bits 8 with more, then 1; from the fourth on the difference, 4 − 1, 5 − 40."""
    text = "".join(chr(48 + bits) for bits in (6, 1, 8 | 32, 1, 3, 29 | 32, 30))  # −35 = 29 − 2·32
    assert run_lengths.decompress(text).tolist() == [6, 1, 40, 4, 5]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([2, 2], "run lengths cover 4 pixels of 6"),
        ([2, -1, 5], "not whole numbers"),
        ([2.5, 3.5], "not whole numbers"),
        ([[6]], "not whole numbers"),
        ("6 ", "the character ' '"),
        ("6é", "the character 'é'"),
        ("X", "end inside a number"),
        ([], "cover 0 pixels of 6"),
    ],
)
def test_what_are_no_run_lengths_is_refused(counts, words):
    with pytest.raises(ValueError) as caught:
        run_lengths.decode(counts, 6)
    assert words in str(caught.value)


@pytest.mark.parametrize("seed", range(10))
def test_a_union_covers_what_one_of_its_parts_covers(seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random(40) < 0.3 for _ in range(3)]
    parts = [run_lengths.decode(run_lengths.encode(mask), 40) for mask in masks]
    first, stop = run_lengths.union(parts)
    np.testing.assert_array_equal(mask_of((first, stop), 40), np.any(masks, axis=0))
    assert (first[1:] > stop[:-1]).all() and (first < stop).all()
    assert len(run_lengths.union([])[0]) == 0


@pytest.mark.parametrize("corner", [(0, 0), (2, 3), (-2, -1), (4, 5), (20, 0), (0, -20), (-1, 6)])
def test_a_part_of_the_picture_is_put_at_its_corner_and_cut_at_the_borders(corner):
    rng = np.random.default_rng(0)
    part = rng.random((4, 5)) < 0.6
    expected = np.zeros((60, 60), np.uint8)
    expected[20 + corner[0] : 24 + corner[0], 20 + corner[1] : 25 + corner[1]] = part
    shape = Shape(1, (RunLengths(tuple(run_lengths.encode(part.ravel())), part.shape, corner),))
    labels = Drawing("", (6, 8), (shape,), 0).labels()
    np.testing.assert_array_equal(labels, expected[20:26, 20:28])


def test_the_smaller_shape_is_on_top_where_there_is_no_order():
    def box(left, top, right, bottom):
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)

    small, large, ignored = Shape(1, (box(1, 1, 3, 3),)), Shape(2, (box(0, 0, 4, 4),)), Shape(255, (box(0, 0, 2, 6),))
    two = Shape(3, (box(4, 0, 5, 6), box(4, 0, 5, 5)))  # parts that overlap count once: 6 pixels, not 11
    shapes = (small, large, ignored, two)
    drawn = Drawing("", (6, 6), shapes, 0, smaller_on_top=True).labels()
    expected = np.zeros((6, 6), np.uint8)
    expected[:6, :2], expected[:4, :4], expected[:6, 4], expected[1:3, 1:3] = 255, 2, 3, 1
    np.testing.assert_array_equal(drawn, expected)
    in_order = Drawing("", (6, 6), shapes, 0).labels()
    assert in_order[1, 1] == 255 and in_order[1, 2] == 2


def test_run_lengths_of_another_size_are_refused_with_the_place():
    shape = Shape(1, (RunLengths((6,), (2, 3), by_columns=True),))
    with pytest.raises(DatasetError, match=r"annotations of a.jpg in x.json cannot be drawn: run lengths are for 3×2"):
        Drawing("of a.jpg in x.json", (3, 2), (shape,), 0).labels()
