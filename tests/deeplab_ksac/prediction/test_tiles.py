"""Tiles cover an axis once, and what is kept of one is far from its ends."""

import pytest

from deeplab_ksac.prediction.tiles import spans, tiles


@pytest.mark.parametrize("side, margin", [(1, 0), (5, 0), (5, 2), (8, 1), (9, 3)])
def test_what_is_kept_covers_every_axis_once_and_keeps_its_distance(side, margin):
    for size in range(1, 60):
        found = spans(size, side, margin)
        assert [pixel for span in found for pixel in range(span.first, span.last)] == list(range(size))
        for span in found:
            assert 0 <= span.start <= span.first < span.last <= span.stop <= size
            assert span.stop - span.start == min(side, size)
            assert span.first - span.start >= margin or span.start == 0
            assert span.stop - span.last >= margin or span.stop == size


def test_there_are_no_more_tiles_than_the_middles_need():
    assert len(spans(10000, 1025, 128)) == 13  # the first and the last keep 897 and up to 897, the others 769


def test_tiles_go_row_by_row():
    places = [(rows.first, columns.first) for rows, columns in tiles(4, 3, side=2, margin=0)]
    assert places == [(0, 0), (0, 2), (2, 0), (2, 2)]


@pytest.mark.parametrize("arguments", [(0, 5, 1), (9, 4, 2), (9, 5, -1)])
def test_tiles_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="cannot cover"):
        spans(*arguments)
