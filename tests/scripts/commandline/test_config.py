"""The experiment on a command line: by its name, from a Python file, from a run's JSON."""

import json

import pytest

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.scripts import flops
from deeplab_ksac.scripts.commandline import config
from deeplab_ksac.scripts.commandline.config import named
from tests.scripts.parsing import command_line

SCENES = EXPERIMENTS["scenes_ksac"]
DEFINES = "from deeplab_ksac.experiments import EXPERIMENTS\nEXPERIMENT = EXPERIMENTS['scenes_ksac']\n"


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


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The working directory, with an experiment in each form."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(DEFINES)
    for name in ("run", "folder.py", "folder.json"):
        (tmp_path / name).mkdir()
    (tmp_path / "run/experiment.json").write_text(json.dumps(to_dict(SCENES)))
    return tmp_path


@pytest.mark.parametrize("name", ("scenes_ksac", "mine.py", "run/experiment.json"))
def test_an_experiment_is_overridden_wherever_it_is_from(name, files):
    assert named(name) == SCENES
    with command_line(flops, f"--config={name}", "--config.seed=7", "--config.model.head.args.filters=5"):
        chosen = config.chosen(name)
    assert (chosen.seed, chosen.model.head.args["filters"], chosen.stages) == (7, 5, SCENES.stages)
    with pytest.raises(SystemExit) as ended, command_line(flops, f"--config={name}", "--config.model.output_strde=8"):
        pass
    assert 'Did you mean "output_stride"' in str(ended.value)


@pytest.mark.parametrize(
    "name, text, words",
    (
        ("mien.py", None, "mien.py does not exist; did you mean 'mine.py'?"),
        ("folder.py", None, "folder.py is no regular file"),
        ("folder.json", None, "folder.json is no regular file"),
        ("run/experimnt.json", None, "run/experimnt.json does not exist; did you mean 'experiment.json'?"),
        ("lost/experiment.json", None, "there is no folder lost"),
        ("mine", None, "no experiment is named 'mine'; did you mean 'mine.py'?"),
        ("run", None, "did you mean 'run/experiment.json'?"),
        ("other.py", DEFINES.replace("EXPERIMENT =", "MINE ="), "other.py defines no EXPERIMENT; MINE would be one"),
        (
            "other.py",
            "EXPERIMENT = {}\n",
            "EXPERIMENT of other.py must be an Experiment of deeplab_ksac.experiment,",
        ),
        ("other.py", "x = 1\nx.y\n", "other.py, line 2: AttributeError: 'int' object has no attribute 'y'"),
        ("other.json", "[]", "other.json holds no JSON object, but []"),
        ("other.json", "{", "other.json is not valid JSON"),
        ("other.json", '{"step": 3}', "other.json cannot be read: step is not a field of Experiment"),
    ),
)
def test_a_file_without_an_experiment_is_answered_in_one_line(name, text, words, files):
    if text is not None:
        (files / name).write_text(text)
    with pytest.raises(SystemExit) as ended, command_line(flops, f"--config={name}"):
        pass
    assert words in str(ended.value) and "\n" not in str(ended.value)
