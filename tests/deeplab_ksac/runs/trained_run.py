"""The folder of a run whose model has random weights, and the data set that it is of."""

import contextlib
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, Views, part
from deeplab_ksac.model import build_model
from deeplab_ksac.prediction import scores
from deeplab_ksac.runs.checkpoints import StageCheckpoints
from deeplab_ksac.runs.workdir import claim_workdir
from tests.deeplab_ksac.fake_model import random_images
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.literal import confusion

NAMES = ("sky", "road", "snail")
SIZES = {"train": [(20, 24)], "val": [(33, 30), (25, 40), (33, 33)]}
EXPERIMENT = Experiment(
    name="tiny",
    model=ModelSpec(backbone=TINY_BACKBONE, head=part("fcn", filters=8), output_stride=32),
    stages=(Stage(data=Data(sources=("tiny/train",)), steps=1, optimizer=part("sgd")),),
    evaluation=EvalSpec("tiny/val"),
)


def raw_labels(split, number):
    height, width = SIZES[split][number]
    return np.random.default_rng(number).choice([0, 1, 255], (height, width)).astype("uint8")


def write_raw(root):
    root.mkdir()
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    for split, sizes in SIZES.items():
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True)
        for number, size in enumerate(sizes):
            image = random_images(1, *size, seed=number)[0].astype("uint8")
            Image.fromarray(image).save(root / "images" / split / f"{number}.png")
            Image.fromarray(raw_labels(split, number)).save(root / "masks" / split / f"{number}.png")


@contextlib.contextmanager
def trained_run(place: pathlib.Path):
    """Yields a folder with raw images, a converted data set in `data` and an untrained run's `workdir`."""
    write_raw(place / "raw")
    info = write_records("folder", place / "raw", place / "data", dataset_name="tiny")
    claim_workdir(place / "workdir", EXPERIMENT, info)
    keras.utils.set_random_seed(3)
    with tiny_backbone_known():
        model = build_model(EXPERIMENT.model, info.num_classes)
        checkpoints_of(model, place / "workdir").save(7)
        yield place


def checkpoints_of(model, workdir):
    """The checkpoints of a run of the model."""
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    return StageCheckpoints(workdir, 0, model, optimizer, strategy=tf.distribute.get_strategy())


def literal_matrix(model, place, views=Views()):
    """The confusion matrix of the val split from the raw files, with Python loops."""
    matrix = 0
    for number in range(len(SIZES["val"])):
        with Image.open(place / "raw" / "images" / "val" / f"{number}.png") as image:
            classes = scores.predict_classes(model, np.float32(image)[np.newaxis], views)
        matrix = matrix + confusion.confusion_matrix(raw_labels("val", number), classes, len(NAMES))
    return matrix
