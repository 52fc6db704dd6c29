"""Several replicas give the losses and the gradients of one with the whole batch.

The replicas are logical devices, which must be made before TensorFlow's first step: a process of its own makes them.
"""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from car import ClassAwareSettings
from tests.car.on_replicas import CASES, CASES_OF_FOUR, NUM_CLASSES, batch_of_eight
from tests.literal import car as literal

EXACT = [case for case in CASES if case != "author"]
RUNS = [*((case, 2) for case in (*EXACT, "fit")), *((case, 4) for case in CASES_OF_FOUR if case != "author")]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{"<case>/<replicas>/<name>": array}."""
    folder, found = tmp_path_factory.mktemp("replicas"), {}
    command = [sys.executable, "-m", "tests.car.on_replicas"]
    options = {"cwd": pathlib.Path(__file__).parents[2], "stderr": subprocess.PIPE, "text": True}
    processes = {
        folder / f"{counts[-1]}.npz": subprocess.Popen(
            [*command, str(folder / f"{counts[-1]}.npz"), *map(str, counts)], **options
        )
        for counts in ([1, 2], [4])
    }
    for path, process in processes.items():
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        found |= np.load(path)
    return found


def of_run(results, case, replicas):
    prefix = f"{case}/{replicas}/"
    found = {key.removeprefix(prefix): value for key, value in results.items() if key.startswith(prefix)}
    assert found
    return found


@pytest.mark.parametrize(("case", "replicas"), RUNS)
def test_replicas_give_the_terms_and_gradients_of_one_replica(results, case, replicas):
    one, several = of_run(results, case, 1), of_run(results, case, replicas)
    assert set(one) == set(several)
    # Sums of 8·3·4 pixels in another order, and four operations after them.
    tolerance = 400 * (2**-24 if case == "fit" or "moving_0" in one else 2**-53)
    for name, value in one.items():
        found = several[name]
        if name == "gradient":
            found = found.reshape(value.shape)
        elif case != "fit" and not name.startswith("moving"):
            np.testing.assert_allclose(found, np.full(replicas, found[0]), rtol=1e-15, err_msg=name)
            found = found.mean(keepdims=True)
        np.testing.assert_allclose(found, value, rtol=tolerance, atol=tolerance, err_msg=name)


def test_a_class_that_one_replica_sees_is_a_class_of_all(results):
    features, labels = batch_of_eight()
    assert (labels[0] == 4).any()
    assert not (labels[1:] == 4).any()
    shares = results["moving_centers/4/gradient"]
    assert not shares[1].any(), "its pixels are ignored"
    assert all(share.any() for share in (shares[0], shares[2], shares[3]))
    centers = literal.class_centers(features.reshape([-1, 6]), labels.ravel(), NUM_CLASSES)
    np.testing.assert_allclose(results["moving_average/2/moving_0"], 0.1 * centers, rtol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_the_author_averages_the_squares_of_each_replicas_own_means(results, replicas):
    features, labels = batch_of_eight()
    settings = ClassAwareSettings.author()
    mu = literal.class_centers(features.reshape([-1, 6]), labels.ravel(), NUM_CLASSES)
    expected = {"intra_c2p": [], "inter_c2p": []}
    for x, y in zip(np.split(features, replicas), np.split(labels, replicas), strict=True):
        x, y = x.reshape([-1, 6]), y.ravel()
        intra = literal.square_of_mean(literal.intra_c2p(x, y, mu))
        expected["intra_c2p"].append(max(intra, settings.intra_floor))
        sums = literal.inter_c2p(x, y, mu, settings.c2p_threshold, scaled=True)
        expected["inter_c2p"].append(literal.square_of_mean(np.clip(sums, 1e-7, 1 - 1e-7)))
    for name, values in expected.items():
        np.testing.assert_allclose(results[f"author/{replicas}/{name}"], values, rtol=1e-13)
