"""A backbone that is computed a second time for its gradient: the same step, with less of it held."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training.backbone_part import freeze_backbone
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy
from tests.replicas import two_replicas

MODEL = ModelSpec(  # normalization, dropped paths, and two maps of the pyramid that are read
    backbone=part("efficientnet_lite0", width=0.125, depth=0.1, drop_path_rate=0.5),
    head=part("fcn", filters=4),
    decoder=part("low_level", filters=2, low_level_filters=2),
    norm={"momentum": 0.5},
)


def make(strategy, recompute, freeze=None, **options):
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = build_model(MODEL, 3)
        if freeze:
            freeze_backbone(model, freeze)
        objective = build_objective((part("cross_entropy"),), 3)
        objective.build(model.output)
        optimizer = build_optimizer(part("sgd", learning_rate=0.1, momentum=0.0), 9, part("constant"))
    return model, TrainStep(model, objective, optimizer, strategy, l2=1e-3, recompute=recompute, **options)


def state(model):
    draws = [layer.state.draws for layer in model.layers if isinstance(layer, DropPath) and layer.rate]
    assert draws
    return [weight.numpy() for weight in model.weights], [int(each.numpy()) for each in draws]


def stepped(strategy, recompute, **options):
    """What two steps change, and the counts of draws."""
    model, step = make(strategy, recompute, **options)
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0, 255, (4, 33, 33, 3)), rng.integers(0, 3, (4, 33, 33))

    def share(context):
        count = 4 // context.num_replicas_in_sync
        own = slice(context.replica_id_in_sync_group * count, (context.replica_id_in_sync_group + 1) * count)
        return {"image": tf.constant(images[own], tf.float32), "labels": tf.constant(labels[own], tf.int32)}

    before, _ = state(model)
    batch = strategy.experimental_distribute_values_from_function(share)
    for _ in range(2):
        terms = step(batch)
    after, draws = state(model)
    return [now - then for now, then in zip(after, before)], draws, {name: float(x) for name, x in terms.items()}


@pytest.mark.parametrize(
    "replicas, options",
    ((1, {"accumulate": 2, "freeze": "c2"}), (2, {})),
    ids=("accumulated", "replicas"),
)
def test_weights_statistics_and_draws_are_those_of_the_plain_step(replicas, options):
    strategy = create_strategy("one_device") if replicas == 1 else two_replicas()
    expected, found = (stepped(strategy, recompute, **options) for recompute in (False, True))
    assert found[1] == expected[1]
    assert found[2] == pytest.approx(expected[2], rel=1e-5)
    for ours, plain in zip(found[0], expected[0]):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5 * (np.abs(plain).max() + 1e-3))


def test_all_of_the_backbone_that_has_a_gradient_is_computed_twice():
    strategy = create_strategy("one_device")
    batch = {"image": tf.zeros([2, 33, 33, 3]), "labels": tf.zeros([2, 33, 33], tf.int32)}
    counts = []
    for recompute, freeze in ((False, None), (True, None), (True, "c5")):
        _, step = make(strategy, recompute, freeze)
        operations = step._one.get_concrete_function(batch).graph.get_operations()
        counts.append(sum(op.type in ("Conv2D", "DepthwiseConv2dNative") for op in operations))
    assert counts[2] <= counts[0] < counts[1]  # where all is frozen, nothing is computed again
