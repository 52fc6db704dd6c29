"""Several replicas train as one: in processes of their own, since the CPU can be split only once in each."""

import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import sys
import numpy as np, tensorflow as tf
from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.layers import ConvNormAct
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training import strategy as strategies
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep

def backbone(output_stride, *, norm):
    "A normalized convolution for each level, the last of them atrous."
    image = x = keras.Input([None, None, 3], name="image")
    pyramid = {}
    for level, strides, atrous_rate in (("c2", 4, 1), ("c3", 2, 1), ("c4", 2, 1), ("c5", 1, 2)):
        x = ConvNormAct(4, 3, strides=strides, atrous_rate=atrous_rate, norm=norm, name=level)(x)
        pyramid[level] = x
    return keras.Model(image, pyramid)

BACKBONES["normalized"] = backbone
MODEL = ModelSpec(
    backbone=part("normalized"),
    head=part("ksac", filters=4, atrous_rates=(1, 2)),
    bottleneck={"filters": 4, "kernel_size": 1},
    norm={"momentum": 0.9},
)
strategies.split_cpu(int(sys.argv[1]))
keras.backend.set_floatx("float64")
rng = np.random.default_rng(0)
images = rng.uniform(0, 255, (3, 4, 33, 33, 3))
labels = rng.integers(0, 3, (3, 4, 33, 33)).astype("int32")
labels[:, 0] = 255  # one replica of four sees no label at all
labels[:, 1, :20] = 255
for name in sys.argv[3:]:
    keras.utils.set_random_seed(3)
    strategy = strategies.create_strategy(name)
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        objective = build_objective((part("cross_entropy"), part("class_aware")), 3)
        model = build_model(MODEL, 3)
        optimizer = build_optimizer(part("sgd", learning_rate=0.1), 3)
        optimizer.build(model.trainable_variables)
    step = TrainStep(model, objective, optimizer, strategy, l2=1e-3)
    for image, label in zip(images, labels):
        def share(context):
            number, count = context.replica_id_in_sync_group, 4 // replicas
            part = slice(number * count, (number + 1) * count)
            return {"image": tf.constant(image[part]), "labels": tf.constant(label[part])}
        terms = step(strategy.experimental_distribute_values_from_function(share))
    path = f"{sys.argv[2]}/{replicas}.npz"
    np.savez(path, float(terms["loss"]), *[weight.numpy() for weight in model.weights])
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Loss and weights after three steps, {replicas: arrays}."""
    folder = tmp_path_factory.mktemp("replicas")
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, devices, str(folder), *strategies])
        for devices, strategies in (("2", ("one_device", "mirrored")), ("4", ("mirrored",)))
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    return {replicas: list(np.load(folder / f"{replicas}.npz").values()) for replicas in (1, 2, 4)}


@pytest.mark.parametrize("replicas", (2, 4))
def test_several_replicas_give_the_weights_of_one(trained, replicas):
    several, single = trained[replicas], trained[1]
    assert len(several) == len(single)
    for ours, expected in zip(several, single):  # losses, the mean of normalization and logits are float32
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)
