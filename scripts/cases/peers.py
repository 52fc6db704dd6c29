"""Whole networks against other toolkits' DeepLabV3+ on a ResNet-50 of the same size; no bound is asked for.

320×320 pixels (the peers take multiples of 16 or 32 only), 21 classes, one image forward, two in training. keras-cv's
exists at output stride 32 alone. segmentation_models_pytorch's, at output stride 16, needs an interpreter that has it:
this one, or the one that KSAC_TORCH_PYTHON names. Of a peer that is not installed there is no case.
"""

import functools
import importlib.util
import os
import subprocess

import tensorflow as tf

from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.backbones import prepare_process, torch_python

SIDE, NUM_CLASSES = 320, 21
HEADS = {"KSAC": "ksac", "ASPP": "deeplabv3"}

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


def prepare_ours(head, output_stride, training):
    """Our DeepLabV3+ with one of the heads: image -> logits."""
    spec = ModelSpec(part("resnet50"), head=part(head), decoder=part("low_level"), output_stride=output_stride)
    model = build_model(spec, NUM_CLASSES)
    return one_pass(lambda image: model(image, training=training)["logits"], model, training)


def prepare_keras_cv(training):
    """keras-cv's DeepLabV3+ on its ResNet-50, which is put together here: the ready-made one asks the network."""
    import keras_cv  # not every environment has it, and it loads much

    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(SIDE, SIDE, 3),
    )
    model = keras_cv.models.DeepLabV3Plus(backbone=backbone, num_classes=NUM_CLASSES)
    return one_pass(lambda image: model(image, training=training), model, training)


def one_pass(predict, model, training):
    """A compiled pass: the logits of one image, or the gradients of two images' mean square."""
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


def case(peer, prepare, output_stride, training):
    """Ours with KSAC and with ASPP against one peer."""
    ours = {name: functools.partial(prepare_ours, head, output_stride, training) for name, head in HEADS.items()}
    mode = "training" if training else "forward"
    return Case(
        title=f"DeepLabV3+, ResNet-50, output stride {output_stride}, {mode}",
        sides={**ours, peer: functools.partial(prepare, training)},
        bounds=tuple(Bound(name, peer, None) for name in ours),
    )


PEERS = {
    **({"keras-cv": (prepare_keras_cv, 32)} if importlib.util.find_spec("keras_cv") else {}),
    **({"smp": (prepare_smp, 16)} if has_smp() else {}),
}
CASES = {
    f"peers_{peer}{'_training' if training else ''}": case(peer, prepare, output_stride, training)
    for peer, (prepare, output_stride) in PEERS.items()
    for training in (False, True)
}
