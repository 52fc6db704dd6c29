"""The name of an experiment on a command line."""

import pytest

from deeplab_ksac.experiment import from_config_dict
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.scripts.commandline.config import CONFIG_FILE, get_config, with_config_file


def test_a_row_of_a_table_is_taken_by_its_name():
    assert from_config_dict(get_config("table_4_1:R8")) == EXPERIMENTS["table_4_1:R8"]
    assert with_config_file(["train", "--config=table_4_1:R8"])[1] == f"--config={CONFIG_FILE}:table_4_1:R8"


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
    with pytest.raises(LookupError) as refused:
        get_config(name)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "words", (["train", "--config=scenes_ksac", "--workdir=x"], ["train", "--config", "scenes_ksac", "--workdir=x"])
)
def test_the_name_of_an_experiment_becomes_a_file_and_its_argument(words):
    named = with_config_file(words)
    assert f"{CONFIG_FILE}:scenes_ksac" in " ".join(named)
    assert named[0] == "train" and named[-1] == "--workdir=x"
