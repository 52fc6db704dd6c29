"""What is given as a flag wins over what the experiment says."""

import collections

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
    chosen = views.chosen(EXPERIMENT, Given((1.0, 1.5), False, (513, 513), (1025, 2049), "probabilities"))
    assert chosen == Views((1.0, 1.5), flip=False, window=(513, 513), pad_to=(1025, 2049), average="probabilities")


def test_none_takes_away_what_the_experiment_has():
    chosen = views.chosen(EXPERIMENT, Given(None, None, "none", "none"))
    assert chosen.window is None and chosen.pad_to is None
