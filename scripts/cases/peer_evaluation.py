"""Evaluation against PyTorch and torchmetrics on the same network, confusion matrix included; and its memory.

Pictures of 512×384 with 21 classes, one at a time, at one scale and at six with flip, logits averaged: the published
DeepLabV3+ of `peers`, and PyTorch's of the same weights and multiply-adds. The pictures are in memory on both sides;
all of their sizes are multiples of 16, since the peer takes no others. Needs an interpreter with
segmentation_models_pytorch and torchmetrics.

`evaluation_window`: a picture of Cityscapes' size through a window may not need more than 2 GiB.
"""

import functools
import json
import os

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.experiment import Views
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process, torch_has
from deeplab_ksac.scripts.cases.peers import NUM_CLASSES, TORCH_SIDE, counts, published, random_batch, require_same
from deeplab_ksac.scripts.cases.process_memory import resident_memory

SIZE, IMAGES = (384, 512), 4
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
VIEWS = {"": Views(), "_views": Views(SCALES, flip=True)}
NETWORKS = ("resnet50", "efficientnet_lite0")
LARGE, LARGE_CLASSES, WINDOW, AT_MOST = (1024, 2048), 19, 513, 2**31
LARGE_VIEWS = {
    "window": Views(window=WINDOW),
    "window, 6 scales and flip": Views(SCALES, flip=True, window=WINDOW),
}


def network(name: str, num_classes: int = NUM_CLASSES) -> keras.Model:
    """The published DeepLabV3+ with ASPP."""
    return build_model(published(name, "ASPP"), num_classes)


def prepare_ours(name, views, images):
    """Evaluates so many pictures, one at a time."""
    evaluator = Evaluator(network(name), num_classes=NUM_CLASSES, views=views)
    batches = list(tf.data.Dataset.from_tensor_slices(random_batch(images, SIZE, NUM_CLASSES)).batch(1))

    def turn():
        pixels = evaluator(batches)["pixels"]
        if pixels != images * SIZE[0] * SIZE[1]:
            raise ValueError(f"{pixels} pixels were counted of {images} pictures of {SIZE}")

    return turn


def prepare_torch(name, views, images, told):
    """The same in PyTorch, in a process of its own."""

    def greeted(line):
        greeting = json.loads(line)
        told.append(f"torch: {greeting['order']} (faster here), {greeting['pixels']:,} pixels a turn")
        require_same(counts(network(name), SIZE), greeting["counts"], "smp")
        if greeting["pixels"] != images * SIZE[0] * SIZE[1]:
            raise ValueError(f"PyTorch's side counted {greeting['pixels']} pixels")

    options = {
        "network": name,
        "form": "published",
        "mode": "evaluation",
        "images": images,
        "size": SIZE,
        "threads": len(os.sched_getaffinity(0)),
        "scales": views.scales,
        "flip": views.flip,
    }
    return prepare_process(TORCH_SIDE, [json.dumps(options)], "torchmetrics", greeted=greeted)


def peer_case(name, mode):
    """Ours against PyTorch's."""
    told: list[str] = []
    views, images = VIEWS[mode], IMAGES if mode == "" else 1
    return Case(
        title=f"evaluation, {name}, {len(views.scales)} scale{'s and flip' if views.flip else ''}",
        sides={
            "ours": functools.partial(prepare_ours, name, views, images),
            "torch": functools.partial(prepare_torch, name, views, images, told),
        },
        bounds=(Bound("ours", "torch", 1.0),),
        told=lambda: told,
    )


def prepare_large(views):
    """Evaluates one picture of Cityscapes' size."""
    evaluator = Evaluator(network("resnet50", LARGE_CLASSES), num_classes=LARGE_CLASSES, views=views)
    batch = {name: tf.identity(value) for name, value in random_batch(1, LARGE, LARGE_CLASSES).items()}
    return lambda: evaluator([batch])


def prepare_filling():
    """Fills memory until the process, which has the same network, has 2 GiB."""
    kept = prepare_large(Views())

    def turn():
        return kept, np.ones(AT_MOST - resident_memory("VmRSS"), np.uint8)

    return turn


PEER_CASES = {
    f"peers_evaluation_{name}{mode}": peer_case(name, mode)
    for name in (NETWORKS if torch_has("segmentation_models_pytorch", "torchmetrics") else ())
    for mode in VIEWS
}
CASES = {
    "evaluation_window": Case(
        title="evaluation, R50, 1024×2048, window 513×513",
        sides={
            **{name: functools.partial(prepare_large, views) for name, views in LARGE_VIEWS.items()},
            "2 GiB": prepare_filling,
        },
        bounds=tuple(Bound(name, "2 GiB", 1.0, "memory") for name in LARGE_VIEWS),
    ),
    **PEER_CASES,
}
