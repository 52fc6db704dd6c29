"""A training step with class-aware regularization against the same step without."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from deeplab_ksac.experiments.common import pointwise, with_car
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep

CLASSES, SIDE, BATCH = 59, 321, 2
BASELINE = pointwise(
    Experiment(
        name="self_attention",
        model=ModelSpec(backbone=part("resnet50"), head=part("self_attention"), output_stride=16),
        stages=(Stage(data=Data(sources=("pascal_context/train",)), steps=1000, batch_size=BATCH),),
        evaluation=EvalSpec("pascal_context/val"),
    )
)
# The projection is merged at inference; in training it is part of what CAR costs.
WITHOUT_TERMS = dataclasses.replace(with_car(BASELINE), losses=BASELINE.losses)
SIDES = {"baseline": BASELINE, "projection": WITHOUT_TERMS, "car": with_car(BASELINE)}


def prepare(name):
    """A callable that takes one training step of a side of `SIDES`, on random images and labels."""
    experiment, rng = SIDES[name], np.random.default_rng(0)
    model = build_model(experiment.model, CLASSES)
    objective = build_objective(experiment.losses, CLASSES)
    objective.build(model.output)
    optimizer = build_optimizer(experiment.stages[0].optimizer, experiment.stages[0].steps)
    optimizer.build(model.trainable_variables)
    step = TrainStep(model, objective, optimizer, tf.distribute.get_strategy(), l2=1e-4)
    batch = {
        "image": tf.constant(rng.uniform(0, 255, [BATCH, SIDE, SIDE, 3]).astype("float32")),
        "labels": tf.constant(rng.integers(0, CLASSES, [BATCH, SIDE, SIDE]).astype("int32")),
    }
    return lambda: step(batch)


CASES = {
    "class_aware": Case(
        title="CAR, training step of R50 OS16 + self-attention + A",
        sides={name: functools.partial(prepare, name) for name in SIDES},
        bounds=(Bound("car", "baseline", 1.03), Bound("car", "projection", 1.03)),
    )
}
