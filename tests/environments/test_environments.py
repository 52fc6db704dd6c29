"""This environment and another, such as TensorFlow 2.15 and 2.21: each reads what the other made and computes alike.

OTHER_PYTHON names the other's interpreter: OTHER_PYTHON=.venv-current/bin/python python -m pytest tests/environments
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.places import ROOT

OTHER = os.environ.get("OTHER_PYTHON")
pytestmark = pytest.mark.skipif(not OTHER, reason="OTHER_PYTHON names no interpreter of another environment")
ULP = 2.0**-24
DOUBLE = 2.0**-29  # what rounds at 2⁻²⁴ in float32 rounds at 2⁻⁵³ in float64
# TensorFlow's GELU has the root of 2 in float32 in every precision, rounded otherwise in 2.15 than in 2.21
WITH_GELU = ("backbone convnext", "backbone swin")
PROGRAM = "tests.environments.probe"


def in_both(*commands):
    """Runs one command in each environment, at the same time."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = [
        subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folders of this environment and of the other."""
    folder = tmp_path_factory.mktemp("environments")
    ours, theirs = folder / "ours", folder / "theirs"
    python = os.path.abspath(OTHER)
    in_both([sys.executable, "-m", PROGRAM, "make", ours], [python, "-m", PROGRAM, "make", theirs])
    in_both([sys.executable, "-m", PROGRAM, "read", ours, theirs], [python, "-m", PROGRAM, "read", theirs, ours])
    return ours, theirs


def arrays(path):
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def assert_all_equal(found, expected, tolerance=0.0):
    assert found and set(found) <= set(expected)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=tolerance, err_msg=name)


def test_painted_scenes_are_the_same_bytes(made):
    ours, theirs = (json.loads((folder / "scenes.json").read_text()) for folder in made)
    assert ours == theirs and len(ours) == 8


def test_twenty_steps_of_training_end_at_the_same_weights_and_scores(made):
    ours, theirs = (arrays(folder / "middle.npz") for folder in made)
    assert set(ours) == set(theirs)
    assert_all_equal(ours, theirs, 1e-4)


@pytest.mark.parametrize("reader", (0, 1))
def test_a_checkpoint_of_the_other_holds_the_same_weights_and_scores_the_same(reader, made):
    found, expected = arrays(made[reader] / "middle_of_other.npz"), arrays(made[1 - reader] / "middle.npz")
    scores = found.pop("miou"), expected.pop("miou")
    assert_all_equal(found, expected)
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize("reader", (0, 1))
def test_a_run_of_the_other_goes_on_to_the_same_end(reader, made):
    assert_all_equal(arrays(made[reader] / "continued.npz"), arrays(made[1 - reader] / "end.npz"), 1e-4)


@pytest.mark.parametrize("one", (0, 1))
def test_a_run_that_was_stopped_ends_with_the_same_bits(one, made):
    assert_all_equal(arrays(made[one] / "resumed.npz"), arrays(made[one] / "end.npz"))


@pytest.mark.parametrize("reader", (0, 1))
def test_what_the_other_exported_gives_what_it_gives_there(reader, made):
    found, expected = arrays(made[reader] / "exported_by_other.npz"), arrays(made[1 - reader] / "exported.npz")
    for name, value in found.items():
        scale = max(1.0, np.abs(expected[name]).max())
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=64 * ULP * scale)  # sums of up to 36 products
    assert {"served classes", "served probabilities"} <= set(found)


def test_the_later_environment_reads_the_keras_file_of_the_earlier(made):
    assert any("saved logits" in arrays(folder / "exported_by_other.npz") for folder in made)


def group(name):
    """Arrays whose size is compared: a network's outputs, its terms of CAR, its gradients."""
    _, network, key = name.split("|")
    return network, key.split(" ")[0] if key.startswith(("car ", "gradient ")) else "outputs"


def test_every_head_and_backbone_computes_alike_to_rounding(made):
    """The yardstick is what rounding does in this environment: float32 beside float64, and the largest's last bit."""
    ours, theirs = (arrays(folder / "networks.npz") for folder in made)
    assert set(ours) == set(theirs)
    largest = {}
    for name, value in ours.items():
        largest[group(name)] = max(largest.get(group(name), 0.0), np.abs(value).max())
    checked = set()
    for name, exact in ours.items():
        if not name.startswith("float64|"):
            continue
        single = name.replace("float64", "float32", 1)
        rounding = np.abs(ours[single] - exact).max() + ULP * largest[group(name)]
        assert np.abs(ours[single] - theirs[single]).max() <= 8 * rounding, single
        in_double = 1 if group(name)[0] in WITH_GELU else DOUBLE
        assert np.abs(exact - theirs[name]).max() <= 8 * rounding * in_double, name
        checked.add(group(name)[0])
    assert len(checked) >= 28
