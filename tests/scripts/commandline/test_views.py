"""What is given as a flag wins over what the experiment says."""

import collections

import pytest

from deeplab_ksac.scripts.commandline import views

Spec = collections.namedtuple("Spec", "scales flip window pad_to average", defaults=(None, "logits"))
EXPERIMENT = Spec((0.5, 1.0), True, (769, 769), (513, 513))


def test_without_flags_the_experiments_views_are_chosen():
    chosen = views.chosen(EXPERIMENT, Spec(None, None, None))
    assert chosen == {
        **{"scales": (0.5, 1.0), "flip": True, "window": (769, 769)},
        **{"pad_to": (513, 513), "average": "logits"},
    }


def test_flags_win():
    chosen = views.chosen(EXPERIMENT, Spec(["1", "1.5"], False, "513", "1025x2049", "probabilities"))
    assert chosen == {
        **{"scales": (1.0, 1.5), "flip": False, "window": (513, 513)},
        **{"pad_to": (1025, 2049), "average": "probabilities"},
    }


def test_none_takes_away_what_the_experiment_has():
    chosen = views.chosen(EXPERIMENT, Spec(None, None, "none", "none"))
    assert chosen["window"] is None and chosen["pad_to"] is None


@pytest.mark.parametrize("text", ["0", "5x", "3x4x5", "big", "-3"])
def test_sides_that_are_no_pixels_are_refused_in_words(text):
    with pytest.raises(ValueError, match=f"--window must be pixels, such as 513 or 1025x2049, or none, not '{text}'"):
        views.sides("window", text)


def test_scales_that_are_no_numbers_are_refused_in_words():
    with pytest.raises(ValueError, match="--scales must be numbers separated by commas, not '1;2'"):
        views.numbers(["1;2"])


def test_views_are_described_in_words():
    assert views.describe(scales=(1.0,), flip=False) == "scale 1"
    assert views.describe(scales=(0.5, 1.0), flip=True, window=(9, 17)) == "scales 0.5, 1, with flip, window 9x17"
    described = views.describe(scales=(2.0,), flip=False, pad_to=(3, 5), average="probabilities")
    assert described == "scale 2, padded to 3x5, probabilities averaged"
