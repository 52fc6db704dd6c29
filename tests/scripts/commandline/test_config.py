"""The name of an experiment on a command line."""

import pytest

from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.scripts.commandline.config import named


def test_a_row_of_a_table_is_taken_by_its_name():
    assert named("table_4_1:R8") == EXPERIMENTS["table_4_1:R8"]


@pytest.mark.parametrize(
    "name, words",
    (
        ("table_4_1:R9", "no experiment is named 'table_4_1:R9'; did you mean 'table_4_1:R"),
        ("scenes_ksca", "did you mean 'scenes_ksac'"),
        ("nothing alike", "there are scenes_ksac,"),
        ("table_3_6:R1", "quoted from another paper and cannot be run"),
    ),
)
def test_an_unknown_experiment_is_answered_with_near_names(name, words):
    with pytest.raises(ValueError) as refused:
        named(name)
    assert words in str(refused.value)
