"""What makes training smaller, and what it costs: losses in strips, and a backbone that is computed twice."""

import functools

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.losses.reading import before_resize
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.tensor_ops.maps import resize_bilinear
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep

SMALL = ModelSpec(backbone=part("mobilenet_v2"), head=part("ksac"), output_stride=16)
LARGE = ModelSpec(backbone=part("resnet101"), head=part("ksac"), output_stride=8)


def loss(in_strips, *, classes, images, side=513, stride=16):
    """A callable that computes cross-entropy and its gradient from small logits, in strips or at the whole size."""
    rng, small = np.random.default_rng(0), 1 + (side - 1) // stride
    logits = tf.constant(rng.normal(size=(images, small, small, classes)).astype("float32"))
    labels = tf.constant(rng.integers(0, classes, (images, side, side)).astype("int32"))
    objective = build_objective((part("cross_entropy"),), classes)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            outputs = {"logits": resize_bilinear(logits, (side, side))}
            outputs |= {before_resize("logits"): logits} if in_strips else {}
            (value,) = objective(outputs, labels).values()
        return value, tape.gradient(value, logits)

    run.get_concrete_function()
    return run


def step(spec, *, classes, images, side=513, in_strips=True, **options):
    """A callable that takes one training step of a model on random pictures."""
    rng = np.random.default_rng(0)
    model = build_model(spec, classes)
    objective = build_objective((part("cross_entropy"),), classes)
    objective.build(model.output)
    taken = TrainStep(model, objective, build_optimizer(part("sgd"), 100), tf.distribute.get_strategy(), **options)
    if not in_strips:
        taken.trained = model
    batch = {
        "image": tf.constant(rng.uniform(0, 255, (images, side, side, 3)).astype("float32")),
        "labels": tf.constant(rng.integers(0, classes, (images, side, side)).astype("int32")),
    }
    taken._one.get_concrete_function(batch)
    return lambda: taken(batch)


def loss_case(classes, images):
    """In strips against the whole map."""
    sides = {"strips": functools.partial(loss, True), "whole": functools.partial(loss, False)}
    return Case(
        title=f"loss at 513×513, {classes} classes, {images} images",
        sides={name: functools.partial(side, classes=classes, images=images) for name, side in sides.items()},
        bounds=(Bound("strips", "whole", 1.0), Bound("strips", "whole", 0.5, "memory")),
    )


def loss_step_case(classes, images):
    """A whole step with the loss in strips against one with the whole map."""
    sides = {"strips": True, "whole": False}
    options = {"classes": classes, "images": images}
    return Case(
        title=f"step of MobileNetV2 at 513×513, {classes} classes, {images}",
        sides={name: functools.partial(step, SMALL, in_strips=strips, **options) for name, strips in sides.items()},
        bounds=(Bound("strips", "whole", 1.0), Bound("strips", "whole", 0.5, "memory")),
    )


def recompute_case(side):
    """The backbone computed twice against once."""
    options = {"classes": 21, "images": 2, "side": side}
    sides = {"recompute": True, "plain": False}
    return Case(
        title=f"step of R101 OS8 at {side}×{side}, 2 images",
        sides={name: functools.partial(step, LARGE, recompute=again, **options) for name, again in sides.items()},
        bounds=(Bound("recompute", "plain", 1.35), Bound("recompute", "plain", 0.5, "memory")),
    )


CASES = {
    "upsampled_loss": loss_case(171, 16),
    "upsampled_loss_21": loss_case(21, 16),
    "upsampled_loss_step": loss_step_case(171, 16),
    "upsampled_loss_step_small": loss_step_case(171, 4),
    "recompute": recompute_case(513),
    "recompute_small": recompute_case(257),
}
