"""Two environments give one product: what one of them wrote, computed or trained, the other goes on with.

They run where OTHER_PYTHON names the Python of the other environment, the one of TensorFlow 2.15 or the current one.
That resumption and determinism are bit for bit within an environment is held by tests that run in each of them, in
tests/deeplab_ksac/training: test_loop, test_options, test_determinism.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.runs.checkpoints import checkpoint_path
from tests.places import ROOT

OTHER = os.environ.get("OTHER_PYTHON")
HERE, THERE = "here", "there"
BOTH_WAYS = pytest.mark.parametrize("by, of", ((HERE, THERE), (THERE, HERE)), ids=("other's_here", "ours_there"))
ROUNDING = 2.0**-23  # of float32
TERMS = 2.0**10  # that the longest sum behind a value has
DOUBLE = 2.0**-29  # what rounds at 2⁻²³ in float32 rounds at 2⁻⁵² in float64
# TensorFlow's GELU has the root of 2 in float32 in every precision, rounded otherwise in 2.15 than in 2.21
WITH_GELU = ("convnext", "swin")
STEPS, HALF = 20, 10
CLOSE = 1e-4  # what 20 steps may make of rounding

pytestmark = pytest.mark.skipif(not OTHER, reason="OTHER_PYTHON, the Python of the other environment, is not set")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder with what each environment made, in `here` and `there`, and then made of the other's."""
    place = tmp_path_factory.mktemp("environments")
    run(place, lambda own, other: ("make", own))
    run(place, lambda own, other: ("go_on", other, own))
    return place


def run(place, arguments):
    """Works in both environments at once."""
    working = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    working.pop("TF_USE_LEGACY_KERAS", None)
    started = {}
    for python, own, other in ((sys.executable, HERE, THERE), (OTHER, THERE, HERE)):
        command = [python, "-m", "tests.environments.work", *arguments(own, other)]
        log = place / f"{own}.log"
        with log.open("w") as output:
            started[log] = subprocess.Popen(command, cwd=place, env=working, stdout=output, stderr=output)
    try:
        for log, process in started.items():
            assert process.wait(timeout=900) == 0, log.read_text()[-3000:]
    finally:
        for process in started.values():
            process.kill()


def arrays(place, environment, name):
    with np.load(place / environment / f"{name}.npz") as stored:
        return dict(stored)


def both(place, name):
    """{name: (array here, array there)}, of the same shapes."""
    here, there = (arrays(place, environment, name) for environment in (HERE, THERE))
    assert {key: (x.shape, x.dtype) for key, x in here.items()} == {k: (x.shape, x.dtype) for k, x in there.items()}
    return {key: (x, there[key]) for key, x in here.items()}


def files(folder):
    return {str(path.relative_to(folder)): path for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def test_the_environments_differ(place):
    here, there = (json.loads((place / which / "versions.json").read_text()) for which in (HERE, THERE))
    assert here["tensorflow"] != there["tensorflow"]


@pytest.mark.parametrize("folder, count", (("raw", 2 * 15), ("data", 8)))
def test_generated_scenes_and_their_records_are_the_same_to_the_byte(place, folder, count):
    here, there = (files(place / which / folder) for which in (HERE, THERE))
    assert set(here) == set(there) and len(here) == count
    assert [name for name in here if here[name].read_bytes() != there[name].read_bytes()] == []


def test_training_batches_are_the_same(place):
    for name, (here, there) in both(place, "batches").items():
        np.testing.assert_array_equal(here, there, err_msg=name)


@pytest.mark.parametrize("kind", ("heads", "backbones"))
def test_outputs_losses_and_gradients_are_equal_to_rounding(place, kind):
    """The yardstick is what rounding does in this environment: float32 beside float64, and the largest's last bit.

    Gradients that are zero in theory, of a bias before a normalization, are what rounding leaves of terms of the
    layer's other gradients, so the largest is that of all gradients of a layer.
    """
    single, double = both(place, f"{kind}_float32"), both(place, f"{kind}_float64")
    assert set(single) == set(double)
    largest = {}
    for name, (here, _) in double.items():
        layer, part = name.split("|")[:2]
        largest[layer, part] = max(largest.get((layer, part), 0.0), np.abs(here).max(initial=0))
    assert len({layer for layer, _ in largest}) == {"heads": 23, "backbones": 9}[kind]
    for name, exact in double.items():
        layer, part = name.split("|")[:2]
        assert np.isfinite(exact[0]).all(), name
        rounding = difference(single[name][0], exact[0]) + ROUNDING * largest[layer, part]
        assert difference(*single[name]) <= 8 * rounding, name
        assert difference(*exact) <= 8 * rounding * (1 if layer in WITH_GELU else DOUBLE), name


def difference(x, y):
    return np.abs(x.astype("float64") - y).max(initial=0)


def terms(place, environment, run):
    """{step: {term: value}} of what a run logged; the last line of a step holds."""
    lines = map(json.loads, (place / environment / run / "metrics.jsonl").read_text().splitlines())
    found = {}
    for line in lines:
        if "train/loss" in line:
            kept = ("train/loss", "train/l2", "train/learning_rate", "train/cross", "train/dice", "train/class_aware")
            found[line["step"]] = {key: value for key, value in line.items() if key.startswith(kept)}
    return found


def assert_close_runs(place, found, expected, first=0):
    """All terms, and all variables of the last checkpoints, the optimizer's among them."""
    ours, theirs = terms(place, *found), terms(place, *expected)
    assert list(ours) == list(theirs) == list(range(1, STEPS + 1))
    for step in range(first + 1, STEPS + 1):
        assert len(ours[step]) > 8
        assert ours[step] == pytest.approx(theirs[step], rel=CLOSE, abs=CLOSE), step
    paths = [checkpoint_path(place / environment / run) for environment, run in (found, expected)]
    saved = [{name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)} for path in paths]
    assert set(saved[0]) == set(saved[1])
    for name, value in saved[1].items():
        if not isinstance(value, bytes):  # the names of all objects
            np.testing.assert_allclose(saved[0][name], value, rtol=CLOSE, atol=CLOSE, err_msg=name)


def test_twenty_steps_are_the_same_but_for_rounding(place):
    """With attention, two losses, CAR, an auxiliary classifier, dropout, L2, AdamW and averaged weights."""
    assert_close_runs(place, (HERE, "run"), (THERE, "run"))


@BOTH_WAYS
def test_a_run_goes_on_in_the_other_environment(place, by, of):
    assert_close_runs(place, (by, "resumed"), (of, "run"), first=HALF)


@BOTH_WAYS
def test_a_checkpoint_is_evaluated_in_the_other_environment(place, by, of):
    found, expected = arrays(place, by, "outputs_of_others"), arrays(place, of, "outputs")
    assert set(found) == set(expected) and found["step"] == STEPS
    for name, value in expected.items():
        limit = 0 if name.startswith("weight") else ROUNDING * TERMS * np.abs(value).max()
        np.testing.assert_allclose(found[name], value, rtol=0, atol=limit, err_msg=name)


@BOTH_WAYS
def test_a_saved_model_serves_the_same_in_the_other_environment(place, by, of):
    found, expected = arrays(place, by, "served_of_others"), arrays(place, of, "outputs")["probabilities"]
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=ROUNDING * TERMS)
    np.testing.assert_array_equal(found["classes"], found["probabilities"].argmax(axis=-1))


@BOTH_WAYS
def test_weights_of_all_heads_in_h5_are_read_in_the_other_environment(place, by, of):
    assert_same_outputs(arrays(place, by, "h5_of_others"), arrays(place, of, "joined"))


def test_all_heads_in_a_keras_file_are_read_in_the_later_environment(place):
    by, of = (HERE, THERE) if (place / HERE / "keras_of_others.npz").exists() else (THERE, HERE)
    assert_same_outputs(arrays(place, by, "keras_of_others"), arrays(place, of, "joined"))


def assert_same_outputs(found, expected):
    assert set(found) == set(expected) and len(found) == 23
    for name, value in expected.items():
        limit = ROUNDING * TERMS * np.abs(value).max()
        np.testing.assert_allclose(found[name], value, rtol=0, atol=limit, err_msg=name)
