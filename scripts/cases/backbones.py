"""Dense backbones against the same architectures in PyTorch: 321×321, float32, one image forward, two in training.

Needs an interpreter with torch and timm: this one, or the one that KSAC_TORCH_PYTHON names; there are no cases without.
PyTorch's side runs in a process of its own, one pass for each line that it reads.
"""

import functools
import os

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process, torch_python

SIDE = 321
AT_MOST = 1.2
NETWORKS = {  # timm's name -> our backbone and its arguments
    "resnet50s": ("resnet50", {"variant": "v1.5", "multi_grid": (1, 1, 1)}),
    "resnet101s": ("resnet101", {"variant": "v1.5", "multi_grid": (1, 1, 1)}),
    "xception65": ("xception65", {}),
}

TORCH_SIDE = """
import sys
import timm, torch
network, output_stride, side, training, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = timm.create_model(network, features_only=True, output_stride=output_stride)
model = model.train() if training else model.eval()
image = torch.randn(2 if training else 1, 3, side, side)
print("ready", flush=True)
for line in sys.stdin:
    if training:
        model.zero_grad()
        model(image)[-1].square().mean().backward()
    else:
        with torch.inference_mode():
            model(image)
    print("done", flush=True)
"""


def prepare_torch(network, output_stride, training):
    """A callable that has PyTorch's process make one pass."""
    threads = len(os.sched_getaffinity(0))
    return prepare_process(TORCH_SIDE, (network, output_stride, SIDE, int(training), threads), f"PyTorch's {network}")


def prepare_tensorflow(network, output_stride, training):
    """A callable that makes one pass: the features of one image, or the gradients of two images' mean square."""
    name, arguments = NETWORKS[network]
    model = BACKBONES[name](output_stride, norm=BatchNorm(momentum=0.9), **arguments)
    image = tf.constant(np.random.default_rng(0).uniform(0, 255, [2 if training else 1, SIDE, SIDE, 3]), tf.float32)

    @tf.function
    def step():
        if not training:
            return model(image, training=False)["c5"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(image, training=True)["c5"]))
        return tape.gradient(loss, model.trainable_variables)

    return step


def case(network, output_stride, training):
    """Ours against PyTorch's."""
    side = {"network": network, "output_stride": output_stride, "training": training}
    return Case(
        title=f"{network} at output stride {output_stride}, {SIDE}×{SIDE}, {'training' if training else 'forward'}",
        sides={
            "ours": functools.partial(prepare_tensorflow, **side),
            "torch": functools.partial(prepare_torch, **side),
        },
        bounds=(Bound("ours", "torch", AT_MOST),),
    )


CASES = {
    f"{network}_os{output_stride}{'_training' if training else ''}": case(network, output_stride, training)
    for network in (NETWORKS if torch_python() else ())
    for output_stride in (8, 16)
    for training in (False, True)
}
