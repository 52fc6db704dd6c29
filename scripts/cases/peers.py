"""Whole networks against other toolkits' with the same ResNet-50, output stride and sizes; no bound is asked for.

keras-cv's DeepLabV3+ is there wherever this project is. segmentation_models_pytorch's needs an interpreter that has it:
this one, or the one that KSAC_TORCH_PYTHON names; without one it has no side. 321×321, 21 classes, output stride 16,
one image forward, two in training.
"""

import functools
import importlib.util
import os
import subprocess

from scripts.cases import Bound, Case
from scripts.cases.backbones import SIDE, prepare_process, torch_python

NUM_CLASSES = 21

SMP_SIDE = """
import sys
import segmentation_models_pytorch as smp, torch
training, side, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = smp.DeepLabV3Plus("resnet50", encoder_weights=None, encoder_output_stride=16, classes=21)
model = model.train() if training else model.eval()
image = torch.randn(2 if training else 1, 3, side, side)
print("ready", flush=True)
for line in sys.stdin:
    if training:
        model.zero_grad()
        model(image).square().mean().backward()
    else:
        with torch.inference_mode():
            model(image)
    print("done", flush=True)
"""


def has_smp():
    """Whether the interpreter for PyTorch has segmentation_models_pytorch."""
    python = torch_python()
    if python is None:
        return False
    if not os.environ.get("KSAC_TORCH_PYTHON"):
        return importlib.util.find_spec("segmentation_models_pytorch") is not None
    command = "import importlib.util as u, sys; sys.exit(u.find_spec('segmentation_models_pytorch') is None)"
    return subprocess.run([python, "-c", command], check=False, capture_output=True).returncode == 0


def prepare_ours(head, training):
    """Our DeepLabV3+ with one of the heads: image -> logits."""
    from deeplab_ksac.experiment import ModelSpec, part
    from deeplab_ksac.model import build_model

    spec = ModelSpec(backbone=part("resnet50"), head=part(head), decoder=part("low_level"), output_stride=16)
    model = build_model(spec, NUM_CLASSES)
    return one_pass(lambda image: model(image, training=training)["logits"], model, training)


def prepare_keras_cv(training):
    """keras-cv's DeepLabV3+ on its ResNet-50."""
    import keras_cv

    backbone = keras_cv.models.ResNet50Backbone(input_shape=(SIDE, SIDE, 3))
    model = keras_cv.models.DeepLabV3Plus(backbone=backbone, num_classes=NUM_CLASSES)
    return one_pass(lambda image: model(image, training=training), model, training)


def one_pass(predict, model, training):
    """A compiled pass: the logits of one image, or the gradients of two images' mean square."""
    import tensorflow as tf

    image = tf.random.stateless_uniform([2 if training else 1, SIDE, SIDE, 3], (0, 0), 0, 255)

    @tf.function
    def step():
        if not training:
            return predict(image)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(predict(image)))
        return tape.gradient(loss, model.trainable_variables)

    return step


def prepare_smp(training):
    """segmentation_models_pytorch's DeepLabV3+ on its ResNet-50, in a process of its own."""
    threads = len(os.sched_getaffinity(0))
    return prepare_process(SMP_SIDE, (int(training), SIDE, threads), "segmentation_models_pytorch")


def case(training):
    """Ours with KSAC and with ASPP, and the peers that are there."""
    ours = {name: functools.partial(prepare_ours, head, training) for name, head in HEADS.items()}
    peers = {"keras-cv": functools.partial(prepare_keras_cv, training)}
    if has_smp():
        peers["smp"] = functools.partial(prepare_smp, training)
    return Case(
        title=f"DeepLabV3+, ResNet-50, {SIDE}×{SIDE}, {'training' if training else 'forward'}",
        sides={**ours, **peers},
        bounds=tuple(Bound(name, peer, None) for peer in peers for name in ours),
    )


HEADS = {"KSAC": "ksac", "ASPP": "deeplabv3"}
CASES = {f"peers{'_training' if training else ''}": case(training) for training in (False, True)}
