"""The step as a TPU wants it: compiled as a whole by XLA, all shapes known, nothing of it on the host."""

import types

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import ON_THE_HOST, create_strategy, operations
from tests.deeplab_ksac.training.tiny import MODEL

BATCH = {"image": [2, 17, 17, 3], "labels": [2, 17, 17]}


def make_step(jit=False):
    keras.utils.set_random_seed(0)
    strategy = create_strategy("one_device")
    with strategy.scope():
        objective = build_objective((part("cross_entropy"), part("class_aware")), 3)
        model = build_model(MODEL, 3)
        objective.build(model.output)
        optimizer = build_optimizer(part("sgd", learning_rate=0.1), 3)
    return TrainStep(model, objective, optimizer, strategy, l2=1e-3, jit=jit)


def test_the_whole_step_compiles_and_computes_the_same():
    rng = np.random.default_rng(0)
    batch = {
        "image": tf.constant(rng.uniform(0, 255, BATCH["image"]), tf.float32),
        "labels": tf.constant(rng.choice([0, 1, 2, 255], BATCH["labels"]), tf.int32),
    }
    plain, compiled = make_step(), make_step(jit=True)
    for _ in range(2):
        expected, found = plain(batch), compiled(batch)
    assert set(found) == set(expected) and len(found) > 4
    for name, value in expected.items():  # the second loss follows from all gradients of the first
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_shapes_are_static_and_nothing_runs_on_the_host():
    specs = {
        "image": tf.TensorSpec(BATCH["image"]),
        "labels": tf.TensorSpec(BATCH["labels"], tf.int32),
    }
    step = make_step()
    function = tf.function(lambda batch: step(batch)).get_concrete_function(specs)
    assert operations(function, ON_THE_HOST) == []
    assert all(output.shape.is_fully_defined() for output in function.outputs)


def test_several_replicas_are_refused_to_xla():
    class Two(tf.distribute.Strategy):
        def __init__(self):
            super().__init__(tf.distribute.get_strategy().extended)

        num_replicas_in_sync = 2

    with pytest.raises(ValueError, match="jit compiles the step of one replica, not of 2; leave it out"):
        TrainStep(None, None, types.SimpleNamespace(loss_scale=None), Two(), jit=True)
