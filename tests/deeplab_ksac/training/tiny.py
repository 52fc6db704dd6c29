"""A model of four blocks, and a run that takes seconds: pictures of a few pixels, a backbone of five convolutions."""

import dataclasses

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE

MODEL = ModelSpec(
    backbone=part("resnet50", blocks=(1, 1, 1, 1), width=4),
    head=part("ksac", filters=4, atrous_rates=(1, 2)),
    bottleneck={"filters": 4, "kernel_size": 1},
    norm={"momentum": 0.9},
)
STAGE = Stage(
    data=Data(sources=("tiny/train",), crop_size=(33, 33), scales=(0.75, 1.0, 1.25)),
    steps=4,
    batch_size=4,
    optimizer=part("sgd", learning_rate=0.05),
)
EXPERIMENT = Experiment(
    name="tiny",
    model=dataclasses.replace(MODEL, backbone=TINY_BACKBONE, head=part("fcn", filters=4)),
    stages=(STAGE,),
    evaluation=EvalSpec("tiny/val"),
    log_every=1,
    checkpoint_every=2,
)


def with_steps(experiment, *steps, **changes):
    """The experiment with one stage for each number of steps."""
    stage = experiment.stages[0]
    stages = tuple(dataclasses.replace(stage, steps=number) for number in steps)
    return dataclasses.replace(experiment, stages=stages, **changes)


def convert(folder, name="tiny", classes=3, counts=None):
    """Writes raw pictures of colored halves under `folder/<name>` and their TFRecords under `folder/data`."""
    raw, rng = folder / name, np.random.default_rng(0)
    for split, count in (counts or {"train": 10, "val": 3}).items():
        for kind in ("images", "masks"):
            (raw / kind / split).mkdir(parents=True)
        for number in range(count):
            height, width = 36 + number % 3, 40 + number % 2
            labels = np.full((height, width), number % classes, np.uint8)
            labels[:, : width // 2] = (number + 1) % classes
            labels[0] = 255
            image = np.clip(labels[..., None] * 60 + rng.integers(0, 40, (height, width, 3)), 0, 255)
            Image.fromarray(image.astype(np.uint8)).save(raw / "images" / split / f"{number:03}.jpg")
            Image.fromarray(labels).save(raw / "masks" / split / f"{number:03}.png")
    (raw / "classes.txt").write_text("".join(f"class{index}\n" for index in range(classes)))
    write_records("folder", raw, folder / "data", dataset_name=name)
    return folder / "data"
