"""What is given as a flag wins over what the experiment says."""

import collections

import pytest

from deeplab_ksac.experiment import Views
from deeplab_ksac.scripts.commandline import views

Given = collections.namedtuple("Given", "scales flip window pad_to average", defaults=(None, None))
EXPERIMENT = Views((0.5, 1.0), flip=True, window=(769, 769), pad_to=(513, 513))


def test_without_flags_the_experiments_views_are_chosen():
    chosen = views.chosen(EXPERIMENT, Given(None, None, None))
    assert chosen == Views((0.5, 1.0), flip=True, window=(769, 769), pad_to=(513, 513), average="logits")
    averaged = Views(average="probabilities")
    assert views.chosen(averaged, Given(None, None, None)) == averaged


def test_flags_win():
    chosen = views.chosen(EXPERIMENT, Given(["1", "1.5"], False, "513", "1025x2049", "probabilities"))
    assert chosen == Views((1.0, 1.5), flip=False, window=(513, 513), pad_to=(1025, 2049), average="probabilities")


def test_none_takes_away_what_the_experiment_has():
    chosen = views.chosen(EXPERIMENT, Given(None, None, "none", "none"))
    assert chosen.window is None and chosen.pad_to is None


@pytest.mark.parametrize("text", ["0", "5x", "3x4x5", "big", "-3"])
def test_sides_that_are_no_pixels_are_refused_in_words(text):
    with pytest.raises(ValueError, match=f"--window must be pixels, such as 513 or 1025x2049, or none, not '{text}'"):
        views.sides("window", text)


def test_scales_that_are_no_numbers_are_refused_in_words():
    with pytest.raises(ValueError, match="--scales must be numbers separated by commas, not '1;2'"):
        views.numbers(["1;2"])
