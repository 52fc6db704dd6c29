"""Evaluation and prediction against the bare forward passes that they cannot do without."""

import functools
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.experiment import ModelSpec, Views, part
from deeplab_ksac.metrics import confusion as metrics
from deeplab_ksac.model import build_model
from deeplab_ksac.precision import in_precision
from deeplab_ksac.prediction import files as kinds
from deeplab_ksac.prediction import scores
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.scripts.cases import Bound, Case

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
SIZE, IMAGES = 513, 12
FOLDERS = []  # kept until the process ends


def spec_with(backbone):
    """KSAC at output stride 16."""
    return ModelSpec(backbone=part(backbone), head=part("ksac"))


def network(num_classes, backbone="mobilenet_v2"):
    """A network with KSAC: the cheaper the backbone, the more all else weighs."""
    return build_model(spec_with(backbone), num_classes)


def batch(num_classes):
    """One random image with labels in blocks."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, num_classes, (27, 27)), np.ones((19, 19), int))[np.newaxis]
    image = rng.integers(0, 256, (1, SIZE, SIZE, 3)).astype("float32")
    return {"image": tf.constant(image), "labels": tf.constant(labels, tf.int32)}


def prepare_evaluation(num_classes, views=Views()):
    """Evaluates one image."""
    evaluator, batches = Evaluator(network(num_classes), num_classes=num_classes, views=views), [batch(num_classes)]
    return lambda: evaluator(batches)


def prepare_passes():
    """The forward passes of six scales, each twice: the logits at the size of the scaled image, and no more."""
    forward = tf.function(scores.logits_function(network(21)), [scores.IMAGE_SPEC], autograph=False)
    images = [tf.random.uniform([1, side, side, 3]) for scale in SCALES for side in [scores.side_at_scale(SIZE, scale)]]

    def run():
        for image in images:
            for _ in range(2):
                forward(image)

    return run


def prepare_metrics(num_classes):
    """The confusion matrix of one image, from its classes."""
    labels = batch(num_classes)["labels"]
    counts = tf.Variable(tf.zeros([num_classes, num_classes], tf.int64))
    count = tf.function(
        lambda classes: counts.assign_add(metrics.confusion_matrix(labels, classes, num_classes)), autograph=False
    )
    classes = tf.cast(tf.random.uniform([1, SIZE, SIZE], 0, num_classes, tf.int32, seed=1), tf.uint8)
    return lambda: count(classes)


def jpegs():
    """A folder of generated JPEGs of 500×375, made once a process."""
    if not FOLDERS:
        FOLDERS.append(tempfile.TemporaryDirectory(prefix="benchmark_"))
        scenes.generate(FOLDERS[0].name, counts={"train": IMAGES}, size=(375, 500))
    return sorted(pathlib.Path(FOLDERS[0].name).rglob("*.jpg"))


def prepare_folder():
    """Reads, predicts and writes a folder, index, color, overlay with legend, by the smallest network of the thesis."""
    names = tuple(f"class {k}" for k in range(21))
    predictor, style = (
        Predictor(network(21, "resnet50")),
        kinds.Style(DatasetInfo("any", names, voc_palette(21)), legend=True),
    )
    paths, output = jpegs(), pathlib.Path(FOLDERS[0].name, "out")
    return lambda: predict_files(predictor, paths, output, style=style)


def prepare_predictions():
    """The forward passes alone of as many images."""
    predictor, image = Predictor(network(21, "resnet50")), np.zeros([1, 375, 500, 3], np.uint8)

    def run():
        for _ in range(IMAGES):
            predictor(image)

    return run


def prepare_precision(backbone, precision):
    """Predicts one image in a precision."""
    predictor = Predictor(in_precision(network(21, backbone), spec_with(backbone), precision))
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return lambda: predictor(image)


def precision_case(backbone, title):
    """Half precision against single."""
    sides = {name: functools.partial(prepare_precision, backbone, name) for name in ("bfloat16", "float32")}
    return Case(f"prediction in bfloat16, {title} 513×513", sides, (Bound("bfloat16", "float32", None),))


CASES = {
    "multi_scale_flip": Case(
        title="evaluation, 6 scales and flip, 513×513",
        sides={"evaluation": lambda: prepare_evaluation(21, Views(SCALES, flip=True)), "12 passes": prepare_passes},
        bounds=(Bound("evaluation", "12 passes", 1.1),),
    ),
    "streaming_metrics": Case(
        title="streaming metrics, 171 classes, 513×513",
        sides={"metrics": lambda: prepare_metrics(171), "evaluation": lambda: prepare_evaluation(171)},
        bounds=(Bound("metrics", "evaluation", 0.03),),
    ),
    "predict_folder": Case(
        title="prediction of a folder of 500×375 JPEGs",
        sides={"folder": prepare_folder, "forward": prepare_predictions},
        bounds=(Bound("folder", "forward", 1 / 0.9),),
    ),
    "predict_bfloat16": precision_case("resnet50", "R50"),
    "predict_bfloat16_lite0": precision_case("efficientnet_lite0", "Lite0"),
}
