"""Three replicas go on from a checkpoint as the run that was not interrupted: the mean of equal copies is each of them.

In a process of its own, since the CPU can be split only once in each.
"""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.experiments.common import with_car
from deeplab_ksac.layers import ConvNormAct
from deeplab_ksac.runs.checkpoints import checkpoint_path
from deeplab_ksac.training import loop
from deeplab_ksac.training.cached_backbone import weights_checksum
from deeplab_ksac.training.parts import build_parts
from deeplab_ksac.training.strategy import create_strategy, split_cpu
from tests.deeplab_ksac.training.test_freezing import stopping
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert
from tests.random_layers import randomize

SHARED = {"synchronized": True, "apart": False}  # whether the replicas share the statistics of normalization


def normalized(output_stride=16, *, norm):
    """A normalized convolution for each level."""
    image = x = keras.Input([None, None, 3], name="image")
    pyramid = {}
    for level, strides in (("c2", 4), ("c3", 2), ("c4", 2), ("c5", 1)):
        x = ConvNormAct(4, 3, strides=strides, norm=norm, name=level)(x)
        pyramid[level] = x
    return keras.Model(image, pyramid)


def experiment(synchronized):
    """All that replicas keep for themselves: statistics, moving centers, averages of the statistics."""
    norm = {"momentum": 0.9, "synchronized": synchronized}
    stage = dataclasses.replace(EXPERIMENT.stages[0], batch_size=6, ema_decay=0.5, l2=0.0)
    model = dataclasses.replace(EXPERIMENT.model, backbone=part(normalized), norm=norm)
    plan = dataclasses.replace(EXPERIMENT, model=model, stages=(stage,))
    return with_car(plan, moving_average=0.9, terms=("inter_c2p",))


def main(folder):
    """Trains on three replicas, in one go and interrupted after step 3; then checksums on three and on one."""
    split_cpu(3)
    options = {"data_dir": convert(folder), "strategy": create_strategy("mirrored"), "evaluates": False}
    assert options["strategy"].num_replicas_in_sync == 3
    for name, synchronized in SHARED.items():
        plan = experiment(synchronized)
        loop.train(plan, workdir=folder / f"{name}_straight", **options)
        with pytest.raises(StopIteration):
            loop.train(plan, workdir=folder / f"{name}_broken", progress=stopping(3), **options)
        loop.train(plan, workdir=folder / f"{name}_broken", **options)
    sums = []
    for strategy in (options["strategy"], create_strategy("one_device")):
        with strategy.scope():
            model, *_ = build_parts(experiment(True), 0, 3)
        randomize(model)
        sums.append(weights_checksum(model))
    (folder / "sums.txt").write_text("\n".join(sums))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    program = f"import pathlib, sys, {__name__} as here; here.main(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=1500)
    return folder


@pytest.mark.parametrize("name", SHARED)
def test_a_run_on_three_replicas_goes_on_bit_for_bit(folder, name):
    straight, broken = (checkpoint_path(folder / f"{name}_{how}") for how in ("straight", "broken"))
    names = {key for key, _ in tf.train.list_variables(straight) if key.endswith("VALUE")}
    for kind in ("moving_variance", "objective/0", "averages/values/3"):
        assert any(kind in key for key in names)
    for key in sorted(names):
        np.testing.assert_array_equal(
            tf.train.load_variable(broken, key), tf.train.load_variable(straight, key), err_msg=key
        )


def test_weights_have_one_checksum_on_any_number_of_replicas(folder):
    several, one = (folder / "sums.txt").read_text().split()
    assert several == one
