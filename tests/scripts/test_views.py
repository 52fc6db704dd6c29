"""What is given as a flag wins over what the experiment says."""

import collections

import pytest

from scripts import views

Spec = collections.namedtuple("Spec", "scales flip window")
EXPERIMENT = Spec((0.5, 1.0), True, (769, 769))


def test_without_flags_the_experiments_views_are_chosen():
    chosen = views.chosen(EXPERIMENT, Spec(None, None, None))
    assert chosen == {"scales": (0.5, 1.0), "flip": True, "window": (769, 769)}


def test_flags_win():
    chosen = views.chosen(EXPERIMENT, Spec(["1", "1.5"], False, 513))
    assert chosen == {"scales": (1.0, 1.5), "flip": False, "window": (513, 513)}


def test_scales_that_are_no_numbers_are_refused_in_words():
    with pytest.raises(ValueError, match="--scales must be numbers separated by commas, not '1;2'"):
        views.numbers(["1;2"])


def test_views_are_described_in_words():
    assert views.describe(scales=(1.0,), flip=False) == "scale 1"
    assert views.describe(scales=(0.5, 1.0), flip=True, window=(9, 17)) == "scales 0.5, 1, with flip, window 9x17"
