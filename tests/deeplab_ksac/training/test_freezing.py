"""A backbone that is not trained up to a stage, and normalization that keeps its statistics."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.experiment import Data, ModelSpec, part
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training import loop
from deeplab_ksac.training.backbone_part import backbone_of, freeze_backbone
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.parts import build_parts
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy
from tests.deeplab_ksac.training import tiny
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert, with_steps

MODEL = ModelSpec(
    backbone=part("efficientnet_lite0", width=0.125, depth=0.1, drop_path_rate=0.5),
    head=part("fcn", filters=4),
    bottleneck=None,
    decoder=part("low_level", filters=2, low_level_filters=2),
    norm={"momentum": 0.5},
)
RUN_MODEL = dataclasses.replace(MODEL, backbone=tiny.MODEL.backbone)  # a block for each stage
ALL = ("c2", "c3", "c4", "c5")


@pytest.fixture(scope="module")
def model():
    return build_model(MODEL, 3)


def frozen(stage):
    model = build_model(MODEL, 3)
    freeze_backbone(model, stage)
    return model


@pytest.mark.parametrize("stage", ALL)
def test_what_the_stage_is_computed_from_is_frozen_and_nothing_else(stage):
    model = frozen(stage)
    names = {layer.name for layer in backbone_of(model, stage).layers if layer.weights}
    assert {layer.name for layer in model.layers if layer.weights and not layer.trainable} == names
    assert {variable.name.split("/")[0] for variable in model.trainable_variables}.isdisjoint(names)
    assert "stem_conv" in names and ("block7a_project_conv" in names) == (stage == "c5")


def test_weights_keep_their_order_where_moving_averages_are_counted_by_it(model):
    for stage in ALL:
        assert [w.name.split("/")[-1] for w in frozen(stage).weights] == [w.name.split("/")[-1] for w in model.weights]


def test_a_frozen_part_computes_as_in_prediction(model):
    part = backbone_of(frozen("c4"), "c4")
    image = tf.random.stateless_uniform([2, 65, 65, 3], [0, 1], 0.0, 255.0)
    assert any(isinstance(layer, DropPath) and layer.rate > 0 for layer in part.layers)
    np.testing.assert_array_equal(part(image, training=True), part(image, training=False))
    free = backbone_of(model, "c4")
    assert not np.array_equal(free(image, training=True), free(image, training=False))


def test_no_gradient_is_computed_of_a_frozen_part():
    """The traced step has as many kernel gradients as there are convolutions that are trained."""
    counts = {}
    for stage in (None, "c3", "c5"):
        model = build_model(MODEL, 3) if stage is None else frozen(stage)
        objective = build_objective((part("cross_entropy"),), 3)
        objective.build(model.output)
        step = TrainStep(
            model, objective, build_optimizer(part("sgd"), 5, part("poly"), stage=0), tf.distribute.get_strategy()
        )
        batch = {"image": tf.zeros([2, 33, 33, 3]), "labels": tf.zeros([2, 33, 33], tf.int32)}
        operations = [op.type for op in step._one.get_concrete_function(batch).graph.get_operations()]
        counts[stage] = sum("BackpropFilter" in kind for kind in operations)
        kernels = [v for v in model.trainable_variables if "kernel" in v.name]
        assert counts[stage] == len(kernels)
    assert counts["c5"] < counts["c3"] < counts[None]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("freezing")
    return folder, {"data_dir": convert(folder), "strategy": create_strategy("one_device"), "evaluates": False}


ASKED = {
    "freeze": "c3",
    "ema_decay": 0.5,
    "data": Data(
        ("tiny/train",),
        (33, 33),
        (0.75, 1.25),
        brightness=30.0,
        contrast=0.3,
        saturation=0.3,
        hue=20.0,
        rotation=10.0,
        cutout=0.3,
    ),
}


def trained(folder, place, name, steps, **changes):
    """The run of a stage with frozen layers, stopped after the last of `steps` and continued."""
    for number in steps:
        keras.utils.set_random_seed(0)
        stage = dataclasses.replace(EXPERIMENT.stages[0], **{**ASKED, **changes}, schedule=part("constant"))
        experiment = with_steps(dataclasses.replace(EXPERIMENT, model=RUN_MODEL, stages=(stage,)), 4)
        with pytest.raises(StopIteration) if number < 4 else pytest.MonkeyPatch.context():
            loop.train(experiment, workdir=folder / name, progress=stopping(number), **place)
    return load_model(folder / name).model


def stopping(number):
    class Progress(loop.SilentProgress):
        def __init__(self, total, label, start=0):
            self.steps = start

        def update(self, n=1, **shown):
            self.steps += n
            if self.steps >= number < 4:
                raise StopIteration

    return Progress


def test_training_leaves_what_is_frozen_as_it_was_and_resumes_bit_for_bit(place):
    folder, options = place
    straight = trained(folder, options, "straight", (4,))
    broken = trained(folder, options, "broken", (3, 4))
    keras.utils.set_random_seed(0)
    fresh = build_model(RUN_MODEL, 3)
    kept = {layer.name for layer in backbone_of(fresh, "c3").layers}
    for layer, other, again in zip(fresh.layers, straight.layers, broken.layers, strict=True):
        for first, last, resumed in zip(layer.get_weights(), other.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(last, resumed)
            moved = not np.array_equal(first, last)
            assert not (layer.name in kept and moved)
    assert any(not np.array_equal(a, b) for a, b in zip(fresh.get_weights(), straight.get_weights(), strict=True))


def test_frozen_normalization_keeps_its_statistics_and_trains_scale_and_shift(place):
    folder, options = place
    model = trained(folder, options, "norm", (4,), freeze=None, freeze_norm=True, ema_decay=0.0)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) > 10
    for layer in norms:
        np.testing.assert_array_equal(layer.moving_mean, np.zeros(layer.moving_mean.shape))
        np.testing.assert_array_equal(layer.moving_variance, np.ones(layer.moving_variance.shape))
    assert sum(bool(np.any(layer.beta != 0)) for layer in norms) > 10


def test_fixed_statistics_are_those_of_prediction():
    layer = BatchNorm(fixed=True)(name="norm")
    features = tf.random.stateless_normal([2, 5, 5, 3], [0, 1]) * 3 + 1
    np.testing.assert_array_equal(layer(features, training=True), layer(features, training=False))
    usual = BatchNorm()(name="norm")
    usual(features)
    usual.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(features, training=True), usual(features, training=False))
    assert len(layer.trainable_variables) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze": "c7"}, "freeze must be one of c2, c3, c4, c5 or None, not 'c7'"),
        ({"freeze": 3}, "freeze must be one of c2, c3, c4, c5 or None, not 3"),
        ({"freeze_norm": "yes"}, "freeze_norm must be True or False, not 'yes'"),
    ],
)
def test_what_cannot_be_frozen_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(EXPERIMENT.stages[0], **changes)


def test_a_rate_of_its_own_has_no_effect_on_a_backbone_that_is_frozen_whole():
    """So that `freeze=c5` is all that a recipe with a slower backbone needs to be told."""
    groups = []
    for ratio in (0.1, 1.0):
        stage = dataclasses.replace(EXPERIMENT.stages[0], freeze="c5", optimizer=part("sgd", backbone_lr=ratio))
        model, _, optimizer = build_parts(dataclasses.replace(EXPERIMENT, model=MODEL, stages=(stage,)), 0, 3)
        assert len(optimizer.slots) == len(model.trainable_variables) > 0
        groups.append(list(optimizer.groups))
    assert groups == [["head_decayed"]] * 2


def test_c5_is_all_of_a_backbone_whose_other_stages_have_layers_of_their_own():
    """The last exchange of HRNet's resolutions: of four maps, c5 is one."""
    backbone = part("hrnet_w48", width=2, modules=(1, 1, 1), blocks=(1, 1, 1, 1))
    model = build_model(ModelSpec(backbone, part("fcn", filters=2), output_stride=32), 3)
    freeze_backbone(model, "c5")
    assert not backbone_of(model).trainable_variables
    assert {variable.name.split("/")[0] for variable in model.trainable_variables} == {"head", "classifier"}
