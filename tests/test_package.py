"""What an installation has: built from a copy of this checkout, without a network, and used from another folder."""

import email
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

import deeplab_ksac
from tests.places import ROOT

PACKAGES = {"caa": "caa", "car": "car", "deeplab_ksac": "deeplab_ksac"}  # folder -> where an installation has it
BELOW = {"datasets": "deeplab_ksac/datasets", "scripts": "deeplab_ksac/scripts"}
FOLDERS = {**PACKAGES, **BELOW}
BUILT_FROM = ("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
MODEL_FILES = ("model.json", "weights.safetensors", "README.md")
LIGHT = (
    "deeplab_ksac",
    "deeplab_ksac.models.places",
    "deeplab_ksac.experiment",
    "deeplab_ksac.experiments",
    "deeplab_ksac.datasets.splits",
)
TYPING = pathlib.Path(__file__).parent / "typing"


def run(*words, cwd, expect=0, **variables):
    """stdout and stderr of a process that has nothing of this checkout on its path but what `cwd` brings."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    environment = {**kept, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    words = [str(word) for word in words]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def copy(place, *, links=True):
    """A copy of what an installation is built from; without links as Git writes them on Windows: files of one line."""
    place.mkdir()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, place / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, place)
    for folder, installed in () if links else BELOW.items():
        (place / installed).unlink()
        (place / installed).write_text(f"../{folder}")
    return place


def wheel(source, place):
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        f"--wheel-dir={place}",
        ".",
        cwd=source,
    )
    (path,) = place.iterdir()
    return path


def backend(call, source, place):
    """What a hook of setuptools writes to a folder, as pip calls it."""
    place.mkdir()
    run(sys.executable, "-c", f"from setuptools import build_meta; build_meta.{call}({str(place)!r})", cwd=source)
    (path,) = place.iterdir()
    return path


def installed(archive, place):
    """The interpreter of a new environment that has a wheel, and everything else from the environment of the tests."""
    venv.create(place, with_pip=False)
    python = place / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", archive, cwd=place)
    folder = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip()
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    pathlib.Path(folder, "others.pth").write_text("\n".join(others))
    return python


def files(archive):
    """Where the files of a wheel are, without those about it; none of them twice."""
    names = [name for name in zipfile.ZipFile(archive).namelist() if ".dist-info/" not in name]
    assert len(names) == len(set(names))
    return set(names)


def expected_files():
    """Every module, table, marker, part of a page and trained model of the checkout, where an installation has it."""
    return {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")  # which does not follow links
        if path.suffix in (".py", ".csv", ".typed")
        or path.match("deeplab_ksac/export/page/*")
        or (path.match("deeplab_ksac/models/*/*") and path.name in MODEL_FILES)
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def built(place):
    return wheel(copy(place / "source"), place / "wheel")


@pytest.fixture(scope="module")
def environments(place, built):
    """Interpreters by the way of installation."""
    linked, unlinked = copy(place / "linked"), copy(place / "unlinked", links=False)
    return {
        "wheel": installed(built, place / "of wheel"),
        "editable": installed(backend("build_editable", linked, place / "editable"), place / "of editable"),
        "editable without links": installed(
            backend("build_editable", unlinked, place / "editable unlinked"), place / "of editable unlinked"
        ),
    }


INSTALLATIONS = ("wheel", "editable", "editable without links")


def test_the_wheel_holds_every_module_and_table_once_and_nothing_else(built):
    assert files(built) == expected_files()
    some = ("scripts/cases/peers.py", "datasets/tables/ade20k.csv", "export/page/index.html")
    assert {f"deeplab_ksac/{name}" for name in some} < files(built)


def test_the_top_level_is_our_three_packages(built):
    assert {name.split("/")[0] for name in files(built)} == set(PACKAGES)
    (listed,) = [name for name in zipfile.ZipFile(built).namelist() if name.endswith("/top_level.txt")]
    assert zipfile.ZipFile(built).read(listed).decode().split() == sorted(PACKAGES)


def test_a_source_distribution_gives_the_same_wheel(place, built):
    with tarfile.open(backend("build_sdist", place / "source", place / "sdist")) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (source,) = (place / "unpacked").iterdir()
    assert not [path for path in source.rglob("*") if path.is_symlink()]
    assert files(wheel(source, place / "wheel of sdist")) == files(built)


def test_a_checkout_without_links_gives_the_same_wheel(place, built):
    source = copy(place / "without links", links=False)
    assert files(wheel(source, place / "wheel without links")) == files(built)


def test_a_model_that_comes_with_this_package_is_in_the_wheel(place, built):
    source = copy(place / "with a model")
    folder = source / "deeplab_ksac/models/tiny_model"
    folder.mkdir()
    for name in MODEL_FILES:
        (folder / name).write_text(name)
    (folder / "notes.txt").touch()
    added = files(wheel(source, place / "wheel with a model")) - files(built)
    assert added == {f"deeplab_ksac/models/tiny_model/{name}" for name in MODEL_FILES}


def test_what_an_earlier_build_left_is_not_packed(place, built):
    source = copy(place / "built before")
    left = source / "build/lib/datasets/__init__.py"
    left.parent.mkdir(parents=True)
    left.write_text("")
    assert files(wheel(source, place / "wheel anew")) == files(built)


def test_the_version_is_written_once(built):
    (about,) = [name for name in zipfile.ZipFile(built).namelist() if name.endswith("/METADATA")]
    metadata = email.message_from_bytes(zipfile.ZipFile(built).read(about))
    assert metadata["Version"] == deeplab_ksac.__version__
    assert "version = attr: deeplab_ksac.__version__" in (ROOT / "setup.cfg").read_text()


def test_peers_and_addons_are_not_required(built):
    (about,) = [name for name in zipfile.ZipFile(built).namelist() if name.endswith("/METADATA")]
    required = email.message_from_bytes(zipfile.ZipFile(built).read(about)).get_all("Requires-Dist")
    extras = {}
    for line in required:
        name, extra = re.fullmatch(r"([\w.-]+)[^;]*(?:; extra == ['\"]([\w-]+)['\"])?", line).groups()
        extras.setdefault(extra, set()).add(name)
    assert not {"keras-cv", "tensorflow-addons", "datasets"} & extras[None]
    assert "tensorflow-addons" in extras["addons"] and "keras-cv" in extras["keras-cv"]


USE = """
import importlib.util, sys
import datasets  # Hugging Face's
table = datasets.Dataset.from_dict({"number": [1, 2, 3]}).map(lambda row: {"twice": 2 * row["number"]})
assert table["twice"][:] == [2, 4, 6], table
assert importlib.util.find_spec("scripts") is None
import caa, car, deeplab_ksac, deeplab_ksac.datasets.pipeline, deeplab_ksac.scripts.cases
import tensorflow as tf
from deeplab_ksac.datasets.tables import read_table
assert len(read_table("ade20k")) == 150
assert deeplab_ksac.KSAC(8)(tf.zeros([1, 5, 5, 4])).shape == (1, 5, 5, 8)
assert caa.AxialAttention(8)(tf.zeros([1, 5, 5, 4])).shape == (1, 5, 5, 8)
assert sys.modules["datasets"] is datasets is not deeplab_ksac.datasets
print(caa.__file__, car.__file__, deeplab_ksac.__file__, sep="\\n")
"""


@pytest.mark.parametrize("installation", ("wheel", "editable"))
def test_ours_and_hugging_faces_packages_work_beside_each_other(installation, environments, place, tmp_path):
    said = run(environments[installation], "-c", USE, cwd=tmp_path, HF_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="3")
    code = place / {"wheel": "of wheel", "editable": "linked"}[installation]
    assert all(pathlib.Path(file).is_relative_to(code) for file in said.splitlines()[:3]), said


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_there_is_one_console_command(installation, environments, tmp_path):
    folder = environments[installation].parent
    assert "\n  train " in run(folder / "ksac", "--help", cwd=tmp_path)
    assert run(folder / "ksac", "--version", cwd=tmp_path).strip() == deeplab_ksac.__version__
    assert "--config" in run(folder / "ksac", "train", "--help", cwd=tmp_path, expect=1)


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_experiments_load_without_tensorflow(installation, environments, tmp_path):
    program = f"import sys, {', '.join(LIGHT)}; assert dir(deeplab_ksac); print('tensorflow' in sys.modules)"
    assert run(environments[installation], "-c", program, cwd=tmp_path) == "False\n"


def test_training_and_prediction_load_no_matplotlib(tmp_path):
    loaded = "import sys, tensorflow; before = set(sys.modules)\n"  # of which 2.21 loads a part of matplotlib
    loaded += "import deeplab_ksac.training.loop, deeplab_ksac.prediction.folder; print(*set(sys.modules) - before)"
    names = run(sys.executable, "-c", loaded, cwd=tmp_path).split()
    assert "deeplab_ksac.prediction.folder" in names and not [name for name in names if name.startswith("matplotlib")]


def test_the_public_names_are_those_of_their_modules():
    assert set(deeplab_ksac.__all__) <= set(dir(deeplab_ksac))
    for name in set(deeplab_ksac.__all__) - {"__version__"}:
        value = getattr(deeplab_ksac, name)
        assert value.__name__ == name and getattr(sys.modules[value.__module__], name) is value
    with pytest.raises(AttributeError, match="no attribute 'Pyramid'"):
        deeplab_ksac.Pyramid  # noqa: B018
    with pytest.raises(ImportError, match="Pyramid"):
        from deeplab_ksac import Pyramid  # noqa: F401


@pytest.mark.parametrize("folder", BELOW)
def test_a_folder_that_is_imported_under_a_wrong_name_says_so_in_one_line(folder, environments):
    for python in environments.values():
        said = run(python, "-c", f"import {folder}", cwd=ROOT, expect=1)
        assert said.splitlines()[-1].startswith(f"ImportError: this folder is the package deeplab_ksac.{folder}; ")


def checked(environments, name, cwd, expect):
    """mypy's lines on a file that stands in a project of its own and uses the wheel."""
    shutil.copy(TYPING / name, cwd)
    config = f"--config-file={TYPING / 'mypy.ini'}"
    python = f"--python-executable={environments['wheel']}"
    cache = f"--cache-dir={environments['wheel'].parent / 'mypy'}"
    return run(sys.executable, "-m", "mypy", config, python, cache, name, cwd=cwd, expect=expect).splitlines()


def test_what_the_documents_name_has_types(environments, tmp_path):
    assert checked(environments, "consumer.py", tmp_path, expect=0) == ["Success: no issues found in 1 source file"]


def test_wrong_use_is_found_by_a_type_checker(environments, tmp_path):
    said = "\n".join(checked(environments, "wrong.py", tmp_path, expect=1))
    found = {(int(line), code) for line, code in re.findall(r"^wrong.py:(\d+): error: .*\[([\w-]+)\]$", said, re.M)}
    lines = (TYPING / "wrong.py").read_text().splitlines()
    marked = {(number, code) for number, line in enumerate(lines, 1) for code in line.partition("  # E: ")[2].split()}
    assert found == marked and len(marked) > 10
