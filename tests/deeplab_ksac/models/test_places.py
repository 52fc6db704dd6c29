"""What a text names: a run, a saved model, one that comes with this package, one on the hub."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from deeplab_ksac import models
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.models.files import FILES
from deeplab_ksac.models.folder import save_model
from deeplab_ksac.models.loading import experiment_of, load
from deeplab_ksac.models.places import Place, find
from deeplab_ksac.prediction.predictor import Predictor
from tests.deeplab_ksac.models.examples import trained_model
from tests.deeplab_ksac.runs.trained_run import trained_run
from tests.places import ROOT


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a saved model in `mine`."""
    monkeypatch.chdir(tmp_path)
    save_model(trained_model(), "mine")
    return tmp_path


@pytest.fixture
def shipped(tmp_path_factory, monkeypatch):
    """A model that comes with this package, under the name "tiny_fcn"."""
    folder = save_model(trained_model(seed=1), tmp_path_factory.mktemp("package") / "tiny")
    monkeypatch.setitem(models.SHIPPED, "tiny_fcn", str(folder))
    return folder


def weights(source):
    return load(source).model.get_weights()


def test_folders_are_told_apart_by_what_is_in_them(here):
    os.mkdir("run")
    with trained_run(here / "run"):
        run = find("run/workdir")
        assert run == Place("run/workdir", pathlib.Path("run/workdir"), is_run=True) and load(run).step == 7
        assert load("run/workdir", checkpoint=7).info.num_classes == 3
    for source in ("mine", "./mine", "mine/", here / "mine", find("mine")):
        assert not find(source).is_run and load(source).step == 7


def test_a_name_is_of_the_model_that_comes_with_this_package(here, shipped):
    assert find("tiny_fcn") == Place("tiny_fcn", shipped)
    for value, expected in zip(weights("tiny_fcn"), trained_model(seed=1).model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert Predictor.load("tiny_fcn").info.name == "tiny"
    os.mkdir("tiny_fcn")  # without a model it is not what is meant
    assert find("tiny_fcn").folder == shipped


def test_a_name_that_is_also_a_folders_is_not_guessed(here, shipped):
    os.rename("mine", "tiny_fcn")
    with pytest.raises(ValueError, match=r"tiny_fcn is a model that comes with this package, and a folder here"):
        find("tiny_fcn")
    assert find("./tiny_fcn").folder == find(pathlib.Path("tiny_fcn")).folder == pathlib.Path("tiny_fcn")
    os.rename("tiny_fcn", "mine")
    os.symlink(shipped, "tiny_fcn")  # the same model under both
    assert find("tiny_fcn").folder == shipped


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "tiny_fcm",
            r"^tiny_fcm is neither a folder nor the name of a model; .*, tiny_fcn; did you mean 'tiny_fcn'\?$",
        ),
        ("runs/none", r"^runs/none is neither a folder nor the name of a model; .*, tiny_fcn$"),
        ("", "is neither a folder nor the name"),
        ("a\x1b[2J\nb", r"^a\\x1b\[2J\\nb is neither"),
        (
            "empty",
            r"empty holds no trained model: neither the model\.json .* nor the experiment\.json of a training run",
        ),
        (pathlib.Path("tiny_fcn"), "tiny_fcn is neither a folder"),
    ],
)
def test_what_names_no_model_is_one_line(source, message, here, shipped):
    os.mkdir("empty")
    with pytest.raises(FileNotFoundError, match=message):
        find(source)


@pytest.mark.parametrize("asked", ({"checkpoint": 7}, {"checkpoint": "best"}, {"averaged": True}))
def test_a_saved_model_has_no_steps_to_choose_from(asked, here):
    with pytest.raises(ValueError, match=f"mine is a saved model with one set of weights; {next(iter(asked))} is for"):
        load("mine", **asked)


@pytest.mark.parametrize("name", models.SHIPPED)
def test_a_model_that_comes_with_this_package_is_whole(name):
    predictor = Predictor.load(name)
    assert predictor(np.zeros([33, 40, 3], np.uint8)).shape == (33, 40)
    assert set(FILES) == {path.name for path in find(name).folder.iterdir()}


@pytest.mark.parametrize("name", models.SHIPPED)
def test_the_experiment_of_that_name_is_what_it_was_trained_by(name):
    shipped, named = experiment_of(name), EXPERIMENTS[name]
    kept = dataclasses.replace(
        named.model, backbone=shipped.model.backbone
    )  # with the weights' normalization of images
    assert shipped == dataclasses.replace(named, model=kept)
    assert shipped.model.backbone.name == named.model.backbone.name
    assert shipped.model.backbone.args.items() >= named.model.backbone.args.items()


@pytest.mark.parametrize(
    "address", ("hf://", "hf://name", "hf://a/b/c", "hf://a/b@", "hf://a/../b", "hf://a/b@../c", "hf://ä/b")
)
def test_an_address_that_is_none_is_one_line(address):
    with pytest.raises(ValueError, match="is no model on the hub, which is written hf://user/name or hf://user/name@"):
        find(address)


HUB = """
import sys
from deeplab_ksac.models.places import find
try:
    print(find(sys.argv[1]).folder)
except OSError as error:
    print(f"OSError: {error}")
assert "tensorflow" not in sys.modules
"""


def found(address, home):
    """What a process without a network finds, with a cache of the hub in `home`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_CACHE": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", HUB, address], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def in_cache(home, folder, repository="models--someone--snails", revision="main", commit="0123456789" * 4):
    """Puts a saved model where huggingface_hub keeps what it has fetched: blobs, and links to them by commit."""
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (home / repository / part).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(FILES):
        if (folder / name).exists():
            blob = home / repository / "blobs" / f"{commit[:6]}{number}"
            blob.write_bytes((folder / name).read_bytes())
            (home / repository / "snapshots" / commit / name).symlink_to(os.path.join("..", "..", "blobs", blob.name))
    (home / repository / "refs" / revision).write_text(commit)
    return home / repository / "snapshots" / commit


def test_a_model_of_the_hub_is_found_in_its_cache(here):
    pytest.importorskip("huggingface_hub")
    home = here / "cache"
    first = in_cache(home, here / "mine")
    save_model(trained_model(seed=1), "other")
    second = in_cache(home, here / "other", revision="v2", commit="ab" * 20)
    assert found("hf://someone/snails", home) == str(first)
    assert found("hf://someone/snails@v2", home) == found(f"hf://someone/snails@{'ab' * 20}", home) == str(second)
    for value, expected in zip(weights(str(second)), trained_model(seed=1).model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    for address in ("hf://someone/slugs", "hf://someone/snails@v3"):
        said = found(address, home)
        assert said.startswith(f"OSError: {address} cannot be fetched: ") and len(said.splitlines()) == 1


def test_without_huggingface_hub_the_way_to_it_is_told():
    program = "import sys; sys.modules['huggingface_hub'] = None\n" + HUB
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, "hf://a/b"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "OSError: hf://a/b is fetched by huggingface_hub, which is not installed: pip install 'deeplab-ksac[hub]'\n"
    )
