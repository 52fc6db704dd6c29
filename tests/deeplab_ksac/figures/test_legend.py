"""Legends below pictures."""

import numpy as np
import pytest

from deeplab_ksac.figures.legend import ROW, SWATCH, with_legend

PICTURE = np.random.default_rng(0).integers(0, 256, (10, 200, 3)).astype("uint8")
COLORS = [(250, 20, 10), (10, 240, 30), (20, 30, 230)]


def test_the_picture_stays_and_each_color_is_shown_below():
    shown = with_legend(PICTURE, ["sky", "road", "snail"], COLORS)
    np.testing.assert_array_equal(shown[:10], PICTURE)
    assert shown.shape == (10 + ROW, 200, 3)
    for color in COLORS:
        assert (shown[10:] == color).all(axis=-1).sum() >= (SWATCH - 2) ** 2
    assert (shown[10:] == 0).all(axis=-1).any()  # black letters


def test_names_flow_into_further_rows_and_keep_the_width():
    shown = with_legend(PICTURE[:, :90], [f"a long name {number}" for number in range(3)], COLORS)
    assert shown.shape == (10 + 3 * ROW, 90, 3)
    for row, color in enumerate(COLORS):
        assert (shown[10 + row * ROW : 10 + (row + 1) * ROW] == color).all(axis=-1).any()


def test_a_picture_narrower_than_a_swatch_is_served_and_no_names_are_no_legend():
    assert with_legend(PICTURE[:, :3], ["sky"], COLORS[:1]).shape == (10 + ROW, 3, 3)
    assert with_legend(PICTURE, [], []) is PICTURE


@pytest.mark.parametrize("letters", ("äöü", "éèê", "łżś", "джё", "αβγ"))
def test_letters_are_letters_and_not_all_the_same_box(letters):
    strips = [with_legend(PICTURE, [letter], COLORS[:1])[10:].tobytes() for letter in letters]
    assert len(set(strips)) == len(letters)
