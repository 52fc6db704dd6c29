"""`ksac <command>`: one console command for all of scripts/, which starts them without TensorFlow."""

import ast
import os
import pathlib
import subprocess
import sys
import time

import pytest

from deeplab_ksac.scripts import ksac
from tests.places import ROOT

SCRIPTS = ROOT / "scripts"
MODULES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem not in ("__init__", "ksac"))
LOADED = "import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); "
FORMS = {  # how a command is started: as installed, as a module, as a file of a checkout
    "ksac": ("-m", "deeplab_ksac.scripts.ksac", "{name}"),
    "module": ("-m", "deeplab_ksac.scripts.{name}"),
    "file": (str(SCRIPTS / "{name}.py"),),
}


def call(*words, cwd=None):
    """A process of Python that finds this checkout as an installed package would be found."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def started(form, name, *flags, cwd=None):
    return call(*(word.format(name=name) for word in FORMS[form]), *flags, cwd=cwd)


def docstring(name):
    return ast.get_docstring(ast.parse((SCRIPTS / f"{name}.py").read_text(encoding="utf-8")))


def test_every_command_is_listed_with_the_first_line_of_its_docstring():
    assert {name: docstring(name).splitlines()[0] for name in ksac.COMMANDS} == ksac.COMMANDS
    assert sorted(ksac.COMMANDS) == MODULES


def test_no_command_has_the_name_of_a_module_of_the_standard_library():
    """A script has its own folder first on the path."""
    assert not {path.stem for path in SCRIPTS.iterdir()} & sys.stdlib_module_names


def test_help_lists_the_commands_within_a_second_and_without_tensorflow(tmp_path):
    seconds = []
    for _ in range(3):  # the machine may be busy with something else
        start = time.perf_counter()
        done = call("-m", "deeplab_ksac.scripts.ksac", "--help", cwd=tmp_path)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1
    assert done.returncode == 0 and done.stderr == ""
    for name, sentence in ksac.COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, sentence] for line in done.stdout.splitlines())
    program = f"{LOADED}sys.argv = ['ksac', '--help']; from deeplab_ksac.scripts.ksac import main; main()"
    assert call("-c", program, cwd=tmp_path).stdout.endswith("False\n")


def is_of_values(call):
    """Whether `commandline.values` defines a flag there."""
    return isinstance(call.func.value, ast.Name) and call.func.value.id == "values" and call.args


@pytest.mark.parametrize("name", MODULES)
def test_the_help_of_a_command_lists_its_flags_without_tensorflow(name, tmp_path):
    program = f"{LOADED}sys.argv = ['ksac', {name!r}, '--help']; from deeplab_ksac.scripts.ksac import main; main()"
    done = call("-c", program, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith(docstring(name).splitlines()[0]) and done.stdout.endswith("False\n")
    source = ast.parse((SCRIPTS / f"{name}.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    defined = [call.args[0].value for call in calls if call.func.attr.startswith("DEFINE_") or is_of_values(call)]
    assert defined and all(f"--{flag}" in done.stdout or f"--[no]{flag}" in done.stdout for flag in defined)


def test_flags_that_several_commands_share_are_in_their_help():
    helped = {name: call("-m", "deeplab_ksac.scripts.ksac", name, "--help").stdout for name in ("train", "predict")}
    assert "--config:" in helped["train"] and "--scales:" in helped["predict"] and "--window:" in helped["predict"]


def test_the_version_is_the_installed_packages():
    done = call("-m", "deeplab_ksac.scripts.ksac", "--version")
    assert done.returncode == 0 and done.stdout.strip() == "0.1.0"


@pytest.mark.parametrize(
    "name, words",
    (
        ("trian", "did you mean 'train'?"),
        ("inspect", "did you mean 'inspect_data'?"),
        ("select", "did you mean 'select_pictures'?"),
        ("?", "there are"),
    ),
)
def test_an_unknown_command_is_one_line_with_the_nearest_name(name, words):
    done = call("-m", "deeplab_ksac.scripts.ksac", name, "--workdir=x")
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"ksac: no command is named {name!r}") and words in done.stderr


def test_a_command_may_be_written_with_hyphens():
    done = call("-m", "deeplab_ksac.scripts.ksac", "cache-features", "--config=scenes_ksca")
    assert done.returncode == 1 and done.stderr.startswith("cache_features: no experiment is named 'scenes_ksca'")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name, flags, error",
    (
        ("export", ("--workdir=nothing", "--output=served"), "export: nothing holds no training run"),
        ("inspect_data", ("tinny", "--data_dir=data"), "inspect: no converted data set 'tinny'"),
        (
            "train",
            ("--config=scenes_ksca",),
            "train: no experiment is named 'scenes_ksca'; did you mean 'scenes_ksac'?",
        ),
        ("study", ("--workdir=x", "--studies=nothing"), "study: unknown study 'nothing'"),
    ),
)
def test_an_error_is_the_same_line_and_status_in_every_form(form, name, flags, error, tmp_path):
    done = started(form, name, *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    told = [line for line in done.stderr.splitlines() if "local_xla" not in line]  # TensorFlow's notes at its start
    assert len(told) == 1 and told[0].startswith(error)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name, words, error",
    (
        ("report", ("--output=x", "stray"), "not a flag: stray"),
        ("inspect_data", (), "expected <dataset> (the name of one converted data set), not: none"),
        ("visualize", ("curves", "predictions", "--workdir=x"), "(one of predictions, "),
        ("flops", ("--sizze=3",), "Unknown command line flag 'sizze'. Did you mean: size"),
    ),
)
def test_what_is_no_flag_of_a_command_is_told_with_its_help(form, name, words, error):
    done = started(form, name, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert error in done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_a_command_works_from_another_folder(form, tmp_path):
    done = started(form, "report", "--output=out", "--tables=4.1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/report.md").is_file()


def test_loading_the_commands_changes_neither_the_path_nor_the_environment():
    program = "import os, sys; before = [*sys.path], {**os.environ}; "
    program += "".join(f"import deeplab_ksac.scripts.{name}; " for name in [*MODULES, "commandline.entry"])
    program += "print(before == ([*sys.path], {**os.environ}))"
    assert call("-c", program).stdout == "True\n"


def test_another_package_called_datasets_is_left_alone(tmp_path):
    """Hugging Face's, say: in either order both are imported, and nothing is said about it."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/__init__.py").write_text("")
    (tmp_path / "datasets-9.9.dist-info").mkdir()
    (tmp_path / "datasets-9.9.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: datasets\nVersion: 9.9\n")
    ours, theirs = "deeplab_ksac.scripts, deeplab_ksac.datasets.info", "datasets"
    for order in (f"{ours}, {theirs}", f"{theirs}, {ours}"):
        shown = "print(deeplab_ksac.datasets.info.__file__, datasets.__file__, sep='\\n')"
        done = call("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {order}; {shown}", cwd=tmp_path)
        assert done.returncode == 0 and done.stderr == ""
        own, other = map(pathlib.Path, done.stdout.splitlines())
        assert own.resolve() == ROOT / "datasets/info.py" and other == tmp_path / "datasets/__init__.py"
