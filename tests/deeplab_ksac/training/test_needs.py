"""What a training step needs: by hand, and beside what two replicas really exchange."""

import math

import pytest
import tensorflow as tf

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from deeplab_ksac.flops.memory import Peak
from deeplab_ksac.training.needs import StepNeeds, seconds_of_exchange, step_needs
from deeplab_ksac.training.parts import build_parts
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy

CLASSES = 3
EXPERIMENT = Experiment(
    name="small",
    model=ModelSpec(
        backbone=part("resnet50", blocks=(1, 1, 1, 1), width=4),
        head=part("ksac", filters=8),
        output_stride=16,
        projection=part("linear", filters=8),
    ),
    stages=(
        Stage(
            data=Data(sources=("scenes/train",), crop_size=(33, 33)),
            steps=10,
            batch_size=4,
            optimizer=part("sgd", learning_rate=0.1, momentum=0.9),
            ema_decay=0.9,
        ),
    ),
    evaluation=EvalSpec("scenes/val"),
    losses=(part("cross_entropy"), part("class_aware")),
)


def weights_of(model):
    return sum(math.prod(variable.shape) for variable in model.weights)


@pytest.fixture(scope="module")
def needs():
    return step_needs(EXPERIMENT, CLASSES, batch=2)


def test_weights_their_averages_and_momentum_are_four_bytes_each(needs):
    model, _, _ = build_parts(EXPERIMENT, 0, CLASSES)
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert needs.weights == needs.averages == 4 * weights_of(model)
    assert needs.optimizer == 4 * trained == needs.exchanged["gradients"]
    assert needs.memory == needs.weights + needs.averages + needs.optimizer + needs.step.total


def test_what_is_exchanged_is_what_two_replicas_sum(needs, monkeypatch):
    summed, real = [], tf.distribute.ReplicaContext.all_reduce

    def spied(context, op, value, options=None):
        each = sum(4 * math.prod(x.shape) for x in tf.nest.flatten(value))
        summed.append(each / context.num_replicas_in_sync)
        return real(context, op, value, options)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", spied)
    strategy = create_strategy("mirrored")
    assert strategy.num_replicas_in_sync > 1
    with strategy.scope():
        parts = build_parts(EXPERIMENT, 0, CLASSES)
    sizes = [2, 33, 33]
    specs = {"image": tf.TensorSpec([*sizes, 3]), "labels": tf.TensorSpec(sizes, tf.int32)}
    TrainStep(*parts, strategy, l2=1e-4).concrete(specs)
    scalars = 64  # counts of labeled pixels and the like, which are left out
    assert sum(needs.exchanged.values()) <= sum(summed) <= sum(needs.exchanged.values()) + scalars


def test_seconds_are_those_of_a_ring_and_a_tree():
    needs = StepNeeds(2, 0, 0, 0, Peak(0, "", {}), {"gradients": 10**9, "statistics": 10**6}, 11, 0)
    network = {"per_node": 8, "gigabits": 80.0, "microseconds": 50.0}
    assert seconds_of_exchange(needs, 8, **network) == 0
    # 4 nodes of 10 GB/s: 2 · 3/4 · 0.1 s, and 2 · 2 messages for each of 11 sums, with 0.1 ms of bytes
    expected = 1.5 * 0.1 + 4 * (11 * 50e-6 + 1e-4)
    assert seconds_of_exchange(needs, 32, **network) == pytest.approx(expected, rel=1e-12)
