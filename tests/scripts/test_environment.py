"""Which Python and which TensorFlow the shell scripts take."""

import configparser
import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest

from tests.places import ROOT

CHOOSE = f"source {ROOT}/scripts/environment.sh; python=$(find_python) || exit; choose_stack $python"


def python_of(version, folder):
    """An interpreter that says it is of a version: this one, with another `sys.version_info`."""
    path = folder / f"python{version}"
    numbers = ", ".join(version.split("."))
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = ({numbers}); $2"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def choose(folder, *versions, **variables):
    for version in versions:
        python_of(version, folder)
    if not (folder / "dirname").exists():  # all else that the script needs, so that no other Python is found
        (folder / "dirname").symlink_to(shutil.which("dirname"))
    environment = {"PATH": str(folder), "VENV": str(folder / "venv"), **variables}
    return subprocess.run([shutil.which("bash"), "-c", CHOOSE], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("version", "stack"), (("3.10", "2.15"), ("3.11", "2.15"), ("3.12", "current"), ("3.13", "current"))
)
def test_the_stack_follows_from_the_only_python(version, stack, tmp_path):
    assert choose(tmp_path, version).stdout == f"{stack}\n"


def test_of_several_pythons_the_one_of_tensorflow_2_15_is_taken(tmp_path):
    assert choose(tmp_path, "3.11", "3.13").stdout == "2.15\n"
    assert choose(tmp_path, PYTHON="python3.13").stdout == "current\n"


def test_the_current_stack_can_be_asked_for(tmp_path):
    assert choose(tmp_path, "3.11", STACK="current").stdout == "current\n"


@pytest.mark.parametrize(
    ("versions", "variables", "words"),
    (
        (["3.13"], {"STACK": "2.15"}, "TensorFlow 2.15 needs Python 3.10 or 3.11"),
        (["3.11"], {"STACK": "2.16"}, "STACK is 2.15 or current, not 2.16"),
        ([], {"PYTHON": "python3.14"}, "needs Python 3.10, 3.11, 3.12 or 3.13, found python3.14"),
    ),
)
def test_what_cannot_be_installed_is_one_line(versions, variables, words, tmp_path):
    done = choose(tmp_path, *versions, **variables)
    assert done.returncode != 0 and words in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


@pytest.mark.parametrize(
    ("stack", "asked", "further", "installed"),
    (
        ("2.15", "", "", "[addons]"),
        ("2.15", "test", "", "[test,addons,keras-cv]"),
        ("2.15", "", "gpu", "[gpu,addons]"),
        ("current", "", "", ""),
        ("current", "test", "", "[test]"),
        ("current", "", "gpu,onnx", "[gpu,onnx]"),
        ("current", "test", "gpu,", "[test,gpu]"),
    ),
)
def test_the_extras_of_a_stack_are_what_pip_takes(stack, asked, further, installed, tmp_path):
    for name in ("dirname", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(tmp_path), "VENV": str(tmp_path / "venv"), "EXTRAS": further}
    command = f"source {ROOT}/scripts/environment.sh; choose_extras {stack} {asked}"
    done = subprocess.run([shutil.which("bash"), "-c", command], capture_output=True, text=True, env=environment)
    assert done.stdout == f"{installed}\n", done.stderr


def plain(name):
    return re.match(r"[\w.-]+", name).group().lower().replace("_", "-")


@pytest.mark.parametrize(
    ("stack", "extras"), (("2.15", ["addons", "keras-cv", "storage", "test"]), ("current", ["storage", "test"]))
)
def test_every_requirement_has_a_pin(stack, extras):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"].split("\n")
    for extra in [*extras, "coco", "onnx", "storage"]:
        wanted += setup["options.extras_require"][extra].split("\n")
    pinned = {plain(line) for line in (ROOT / f"constraints-{stack}.txt").read_text().splitlines() if "==" in line}
    assert {plain(line) for line in wanted if line} - {"deeplab-ksac"} <= pinned


@pytest.mark.parametrize("stack", ("2.15", "current"))
def test_cudas_libraries_have_pins(stack):
    """Those that TensorFlow's extra asks for: of the stack that is installed here, all of them by name."""
    pinned = {plain(line) for line in (ROOT / f"constraints-{stack}.txt").read_text().splitlines() if "==" in line}
    needed = {plain(text) for text in importlib.metadata.requires("tensorflow") if "and-cuda" in text}
    assert needed and needed <= pinned


def test_the_scripts_are_valid_shell():
    for name in ("environment.sh", "quickstart.sh", "test.sh", "check_device.sh"):
        assert os.access(ROOT / "scripts" / name, os.R_OK)
        subprocess.run(["bash", "-n", str(ROOT / "scripts" / name)], check=True)
    subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], check=True)


def test_what_ci_leaves_to_the_workflow_is_there():
    """A test that was renamed would be run again, and nobody would be told why CI takes longer."""
    listed = re.search(r"^long=\(.*?^\)", (ROOT / ".ci/run").read_text(), re.MULTILINE | re.DOTALL).group()
    named = re.findall(r"^\s+\"?([\w/]+\.py)(?:::(\w+))?", listed, re.MULTILINE)
    assert len(named) == listed.count(".py")
    for path, function in named:
        assert f"def {function}" in (ROOT / "tests" / path).read_text(encoding="utf-8"), (path, function)
