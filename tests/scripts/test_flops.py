"""The script that counts, and what it refuses."""

import subprocess
import sys
import types

import pytest

from deeplab_ksac.experiment import from_config_dict
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.flops import tables as table_flops
from deeplab_ksac.scripts import flops
from deeplab_ksac.scripts.commandline.config import CONFIG_FILE, get_config, with_config_file
from tests.places import ROOT


def given(**flags):
    defaults = {"config": None, "saved_model": None, "tables": None, "size": ["33"], "num_classes": None}
    return types.SimpleNamespace(**{**defaults, "training": False, "chapter": None, **flags})


def test_a_row_of_a_table_is_taken_by_its_name():
    assert from_config_dict(get_config("table_4_1:R8")) == EXPERIMENTS["table_4_1:R8"]
    assert with_config_file(["train", "--config=table_4_1:R8"])[1] == f"--config={CONFIG_FILE}:table_4_1:R8"


@pytest.mark.parametrize(
    "name, words",
    (
        ("table_4_1:R9", "no experiment is named 'table_4_1:R9'; did you mean 'table_4_1:R"),
        ("scenes_ksca", "did you mean 'scenes_ksac'"),
        ("nothing alike", "there are scenes_ksac,"),
        ("table_3_6:R1", "quoted from another paper; there is nothing of it to run"),
    ),
)
def test_an_unknown_experiment_is_answered_with_near_names(name, words):
    with pytest.raises(LookupError) as refused:
        get_config(name)
    assert words in str(refused.value)


def test_an_experiments_parts_are_listed(capsys):
    assert flops.run(given(config=get_config("scenes_ksac"), size=["33", "65"])) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("scenes_ksac, 33x65, ") and "in the convention of the thesis's chapter 2:" in printed
    rows = {line.split()[0]: line.split()[1] for line in printed.splitlines()[2:] if line.endswith(" G")}
    numbers = {part: int(count.replace(",", "")) for part, count in rows.items() if count[0].isdigit()}
    assert numbers.pop("all") == sum(numbers.values()) and {"backbone", "head", "decoder"} <= set(numbers)


@pytest.mark.parametrize(
    "flags, words",
    (
        ({}, "give one of --config, --saved_model and --tables, not none"),
        ({"tables": ["2.1"], "saved_model": "x"}, "not saved_model and tables"),
        ({"tables": ["2.1"], "size": ["0"]}, "--size must be one or two numbers of pixels"),
        ({"tables": ["2.1"], "size": ["?", "5"]}, "such as 513 or 513,1025, not '?,5'"),
        ({"tables": ["4.5"]}, "Table 4.5 has no FLOPs; 2.1, 3.1, 3.4, 4.4 have"),
    ),
)
def test_a_wrong_request_is_refused_in_words(flags, words):
    with pytest.raises(ValueError) as refused:
        flops.run(given(**flags))
    assert words in str(refused.value)


def test_classes_that_the_data_set_leaves_open_are_asked_for():
    experiment = types.SimpleNamespace(evaluation=types.SimpleNamespace(dataset="elsewhere/val"))
    with pytest.raises(ValueError, match="the classes of 'elsewhere' are not known here; give --num_classes"):
        table_flops.num_classes(experiment)


@pytest.mark.parametrize(
    "override, words",
    (
        ("--config.stages[0].stepps=3", 'Did you mean "steps"'),
        ("--config.seed=many", "seed"),
    ),
)
def test_a_wrong_override_is_said_in_words(override, words):
    command = [sys.executable, str(ROOT / "scripts/flops.py"), "--config=table_4_1:R8", override]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and words in done.stderr + done.stdout and "Traceback" not in done.stderr


def test_what_ksac_saves_is_printed_beside_table_2_1():
    header, *lines = table_flops.shared_kernel(513, 513)
    assert header.split()[-5:] == ["one", "branch", "all", "shared", "saved"]
    values = {line[:39].strip(): [float(value) for value in line[39:].split()] for line in lines}
    for stride, branch, at_least in ((16, 4.785, 9.57), (8, 18.57, 37.1)):
        for rates in ("6 12 18", "1 6 12 18 24", "6 12 18 24 30"):
            one, every, shared, saved = values[f"output stride {stride}, rates {rates}"]
            assert one == pytest.approx(branch, rel=1e-3) and shared <= one
            assert saved >= at_least and every - shared == pytest.approx(saved, abs=2e-3)
