"""What the tests of two environments do in each of them, as a program: `work make FOLDER`, `work go_on OTHERS OWN`.

`make` leaves in its folder what only this environment computed; `go_on` takes up what the other one left.
"""

import contextlib
import json
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.pipeline import eval_batches, train_batches
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from deeplab_ksac.experiments.common import with_car
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.heads import HEADS
from deeplab_ksac.prediction.scores import predict_probabilities
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training import loop
from deeplab_ksac.training.optimizers import decoupled
from deeplab_ksac.training.strategy import create_strategy
from tests.deeplab_ksac.backbones import random_weights, strided_models
from tests.deeplab_ksac.backbones.test_backbones import TINY
from tests.deeplab_ksac.heads.heads_under_test import CHANNELS, VARIANTS, built_head, flat, random_pyramid
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.random_layers import randomize

STEPS, HALF = 20, 10
PRECISIONS = ("float32", "float64")
TENSORFLOW = [int(number) for number in tf.version.VERSION.split(".")[:2]]
IMAGE = np.random.default_rng(0).uniform(0, 255, (2, 33, 49, 3)).astype("float32")
TRAINED = with_car(
    Experiment(
        name="environments",
        model=ModelSpec(
            backbone=TINY_BACKBONE,
            head=part("caa", filters=4, key_filters=2, gate_width=3, gate_depth=2),
            bottleneck={"filters": 4, "kernel_size": 3, "dropout": 0.1},
            auxiliary={"filters": 4},
            norm={"momentum": 0.9},
        ),
        losses=(part("cross_entropy"), part("cross_entropy", output="aux_logits", weight=0.4), part("dice")),
        stages=(
            Stage(
                data=Data(sources=("scenes/train",), crop_size=(33, 33), scales=(0.75, 1.0, 1.25)),
                steps=STEPS,
                batch_size=4,
                optimizer=part("adamw", learning_rate=0.005),
                ema_decay=0.9,
                l2=1e-4,
            ),
        ),
        evaluation=EvalSpec("scenes/val"),
        log_every=1,
        checkpoint_every=HALF,
    ),
    moving_average=0.9,
)


def make(folder):
    """Leaves here what this environment gives for the same values."""
    folder.mkdir()
    scenes.generate(folder / "raw", counts={"train": 12, "val": 3}, size=(65, 97))
    write_records("scenes", folder / "raw", folder / "data", allow_other_counts=True, processes=1)
    batches = train_batches(
        ("scenes/train",),
        data_dir=folder / "data",
        crop_size=33,
        batch_size=4,
        seed=1,
        scales=(0.5, 1.0, 2.0),
        flip=True,
        brightness=10.0,
    )
    write(folder / "batches", {f"{i}/{key}": x for i, batch in enumerate(batches.take(3)) for key, x in batch.items()})
    for precision in PRECISIONS:
        with computed_in(precision):
            write(folder / f"heads_{precision}", gradients_of(heads()))
            write(folder / f"backbones_{precision}", gradients_of(backbones(folder, precision)))
    with contextlib.suppress(InterruptedRunError):
        train(folder / "half", folder / "data", progress=Interrupting)
    shutil.copytree(folder / "half", folder / "run")
    train(folder / "run", folder / "data")
    loaded = load_model(folder / "run")
    export_saved_model(loaded.model, folder / "served", info=loaded.info, check=False)
    write(folder / "outputs", outputs_of(folder / "run", folder / "data"))
    joined().save(folder / "heads.keras")
    joined().save_weights(folder / "heads.weights.h5")
    (folder / "versions.json").write_text(
        json.dumps({"tensorflow": TENSORFLOW, "numpy": np.__version__, "optimizers": decoupled().__name__})
    )


def go_on(others, own):
    """Takes up what the other environment left, and leaves the results in this one's folder."""
    shutil.copytree(others / "half", own / "resumed")
    train(own / "resumed", own / "data")
    write(own / "outputs_of_others", outputs_of(others / "run", own / "data"))
    server = tf.saved_model.load(str(others / "served"))
    write(own / "served_of_others", dict(server(tf.constant(IMAGE, tf.uint8))))
    model = joined(seed=7)
    model.load_weights(others / "heads.weights.h5")
    write(own / "h5_of_others", model(IMAGE))
    theirs = json.loads((others / "versions.json").read_text())["tensorflow"]
    if theirs < TENSORFLOW:  # Keras reads no later Keras' files
        write(own / "keras_of_others", keras.models.load_model(others / "heads.keras")(IMAGE))
    write(own / "joined", joined()(IMAGE))


def write(path, arrays):
    """One npz of {name: array}; names may hold slashes."""
    np.savez(path.with_suffix(".npz"), **{name.replace("/", "|"): np.asarray(x) for name, x in arrays.items()})


class InterruptedRunError(Exception):
    pass


class Interrupting(loop.SilentProgress):
    """Stops a run after its first half and some steps."""

    def __init__(self, total, label, start=0):
        self.reports = 0

    def update(self, n=1, **shown):
        self.reports += bool(shown)
        if self.reports > HALF + 1:
            raise InterruptedRunError


def train(workdir, data_dir, **options):
    keras.utils.set_random_seed(TRAINED.seed)
    loop.train(TRAINED, data_dir=data_dir, workdir=workdir, strategy=create_strategy("one_device"), **options)


def outputs_of(workdir, data_dir):
    """What a run's model says, its weights as they were restored, and how good it is."""
    loaded = load_model(workdir)
    model, classes = loaded.model, loaded.info.num_classes
    figures = evaluate(model, eval_batches("scenes", "val", data_dir=data_dir), num_classes=classes)
    logits = model(IMAGE)["logits"]
    served = predict_probabilities(model, np.floor(IMAGE))
    weights = {f"weight/{index}": weight for index, weight in enumerate(model.weights)}
    return {"step": loaded.step, "logits": logits, "probabilities": served, "miou": figures["miou"], **weights}


@contextlib.contextmanager
def computed_in(precision):
    """Layers made inside have weights and computations of this type."""
    set_precision(precision)
    yield
    set_precision("float32")


def set_precision(name):
    keras.backend.set_floatx(name)
    keras.mixed_precision.set_global_policy(name)


def heads():
    """{variant: (head, its input)} of all heads with random weights."""
    return {name: (built_head(name), random_pyramid()) for name in VARIANTS}


def backbones(folder, precision):
    """{row: (backbone, its input)} of one tiny network for each family."""
    found = {}
    for name, arguments in TINY.items():
        keras.utils.set_random_seed(0)  # where the draws of stochastic depth begin
        found[name] = BACKBONES[name](8, **arguments)
        random_weights.randomize(found[name])
    for family in strided_models.MODULES:  # from a file of safetensors
        keras.utils.set_random_seed(0)
        found[family] = strided_models.build(family, precision)
        path = strided_models.write_weights(family, folder / f"{family}.safetensors")
        strided_models.load(found[family], family, path)
    return {name: (model, tf.constant(IMAGE, precision)) for name, model in found.items()}


def gradients_of(layers):
    """{layer/output/…, layer/loss, layer/gradient/…, layer/moved/…} of a training pass of each.

    The loss is the mean over all outputs of their products with fixed random numbers.
    """
    found = {}
    for name, (layer, given) in layers.items():
        watched = [*tf.nest.flatten(given), *layer.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(given))
            outputs = layer(given, training=True)
            outputs = flat(outputs) if "features" in outputs else outputs
            outputs = {key: x for key, x in outputs.items() if isinstance(x, tf.Tensor)}
            rng = np.random.default_rng(1)
            loss = tf.add_n([tf.reduce_mean(x * rng.normal(size=x.shape)) for _, x in sorted(outputs.items())])
        gradients = tape.gradient(loss, watched, unconnected_gradients="zero")
        found |= {f"{name}/output/{key}": x for key, x in outputs.items()} | {f"{name}/loss": loss}
        found |= {f"{name}/gradient/{index}": tf.convert_to_tensor(x) for index, x in enumerate(gradients)}
        found |= {f"{name}/moved/{index}": x for index, x in enumerate(layer.non_trainable_weights)}
    return found


def joined(seed=0):
    """All heads on one small pyramid, as a functional model with random weights."""
    keras.backend.clear_session()
    image = x = keras.Input([33, 49, 3])
    pyramid = {}
    for level, width in CHANNELS.items():
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", name=level)(x)
        pyramid[level] = x
    outputs = {}
    for name in VARIANTS:
        kind, arguments, *_ = VARIANTS[name]
        features = HEADS[kind](**arguments, name=name)(pyramid)["features"]
        outputs[name] = features[0] if isinstance(features, tuple | list) else features
    return randomize(keras.Model(image, outputs), seed)


if __name__ == "__main__":
    with tiny_backbone_known():
        {"make": make, "go_on": go_on}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
