"""What one environment makes and reads, for another to compare.

python -m tests.environments.probe make FOLDER
python -m tests.environments.probe read FOLDER OTHER       # goes on from what was made in OTHER, writes to FOLDER
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from car import ClassAwareRegularizer
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.experiment import part
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.evaluation import RunEvaluation
from deeplab_ksac.training import strategy as strategies
from deeplab_ksac.training.loop import train
from tests.deeplab_ksac.backbones import strided_models, test_backbones
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS, built_head, flat, random_pyramid
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training import tiny
from tests.random_layers import randomize

STEPS, MIDDLE = 30, 20
POLICIES = ("float32", "float64")
SIZE = (2, 33, 49)


STAGE = dataclasses.replace(tiny.STAGE, steps=STEPS, optimizer=part("adamw", learning_rate=0.01))
EXPERIMENT = dataclasses.replace(tiny.EXPERIMENT, stages=(STAGE,), checkpoint_every=MIDDLE, log_every=MIDDLE)


def run(workdir, data_dir):
    """Trains to the end, from the beginning or the newest checkpoint."""
    strategies.make_deterministic(0)
    train(
        EXPERIMENT,
        data_dir=data_dir,
        workdir=workdir,
        strategy=strategies.create_strategy("one_device"),
        deterministic=True,
    )


def without_the_end(workdir, copy):
    """A copy of a run as it was in the middle."""
    shutil.copytree(workdir, copy)
    for path in copy.rglob(f"ckpt-{STEPS}*"):
        path.unlink()


def results(workdir, data_dir, step=None):
    """Weights of a run's checkpoint, and its figures."""
    loaded = load_model(workdir, step)
    figures = RunEvaluation(loaded, data_dir=data_dir)().figures
    weights = {f"weight {weight.name}": weight.numpy() for weight in loaded.model.weights}
    return {**weights, "miou": np.array(figures["miou"])}


def served(path):
    images = np.random.default_rng(0).integers(0, 256, (2, 33, 41, 3), np.uint8)
    signature = tf.saved_model.load(str(path)).signatures["probabilities"]
    return {f"served {name}": value.numpy() for name, value in signature(image=tf.constant(images)).items()}


def saved(path):
    model = keras.models.load_model(path)
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 41, 3)).astype("float32")
    return {"saved logits": model(image)["logits"].numpy()}


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def of_head(name):
    """Outputs of a head in training, the terms of CAR on its features, and the gradients of both."""
    pyramid = random_pyramid()
    head = built_head(name)
    return probe(lambda: flat(head(pyramid, training=True)), head.trainable_weights)


def of_backbone(make):
    model = make()
    image = np.random.default_rng(0).uniform(0, 255, [*SIZE, 3]).astype(keras.backend.floatx())
    return probe(lambda: model(image, training=True), model.trainable_weights)


def probe(outputs_of, weights):
    rng, labels = np.random.default_rng(1), np.random.default_rng(2).integers(0, 4, SIZE).astype("int32")
    labels[labels == 3] = 255
    regularizer = ClassAwareRegularizer(3)
    with tf.GradientTape() as tape:
        outputs = outputs_of()
        loss = tf.add_n([tf.reduce_sum(x * rng.normal(size=x.shape).astype(x.dtype.name)) for x in outputs.values()])
        maps = [x for x in outputs.values() if x.shape.rank == 4]
        terms = regularizer(maps[-1], labels)
        total = loss + sum(tf.cast(term, loss.dtype) for term in terms.values())
    gradients = tape.gradient(total, weights)
    found = {**outputs, **{f"car {name}": value for name, value in terms.items()}}
    found |= {f"gradient {index:03}": value for index, value in enumerate(gradients) if value is not None}
    return {name: tf.convert_to_tensor(value).numpy() for name, value in found.items()}


def networks():
    """{name: its function} of every head and every family of backbones."""
    yield from ((f"head {name}", functools.partial(of_head, name)) for name in VARIANTS)
    for name, arguments in test_backbones.TINY.items():
        make = functools.partial(dense, name, arguments)
        yield f"backbone {name}", functools.partial(of_backbone, make)
    for name in strided_models.MODULES:
        make = functools.partial(strided, name)
        yield f"backbone {name}", functools.partial(of_backbone, make)


def dense(name, arguments):
    return randomize(BACKBONES[name](16, **arguments))


def strided(name):
    return randomize(strided_models.build(name, keras.mixed_precision.global_policy().name))


def write_networks(path):
    arrays = {}
    for policy in POLICIES:
        keras.backend.set_floatx(policy)
        keras.mixed_precision.set_global_policy(policy)
        for name, compute in networks():
            keras.utils.set_random_seed(0)  # for stochastic depth
            arrays |= {f"{policy}|{name}|{key}": value for key, value in compute().items()}
    keras.backend.set_floatx("float32")
    keras.mixed_precision.set_global_policy("float32")
    np.savez(path, **arrays)


def make(folder):
    folder.mkdir(parents=True)
    scenes.generate(folder / "scenes", counts={"train": 3, "val": 1}, size=(65, 81))
    (folder / "scenes.json").write_text(json.dumps(hashes(folder / "scenes")))
    data_dir = tiny.convert(folder)
    run(folder / "run", data_dir)
    model = load_model(folder / "run").model
    model.save(folder / "model.keras")
    export_saved_model(model, folder / "saved_model", info=load_info("tiny", data_dir=data_dir), check=False)
    np.savez(folder / "middle.npz", **results(folder / "run", data_dir, MIDDLE))
    np.savez(folder / "end.npz", **results(folder / "run", data_dir))
    np.savez(folder / "exported.npz", **served(folder / "saved_model") | saved(folder / "model.keras"))
    write_networks(folder / "networks.npz")
    without_the_end(folder / "run", folder / "resumed")
    run(folder / "resumed", data_dir)
    np.savez(folder / "resumed.npz", **results(folder / "resumed", data_dir))


def read(folder, other):
    """Everything of the other environment; its Keras file only where this one is the later."""
    without_the_end(other / "run", folder / "continued")
    np.savez(folder / "middle_of_other.npz", **results(folder / "continued", other / "data"))
    run(folder / "continued", other / "data")
    np.savez(folder / "continued.npz", **results(folder / "continued", other / "data"))
    keras_file = saved(other / "model.keras") if not tf.__version__.startswith("2.15") else {}
    np.savez(folder / "exported_by_other.npz", **served(other / "saved_model") | keras_file)


if __name__ == "__main__":
    task, *folders = sys.argv[1:]
    with tiny_backbone_known():
        {"make": make, "read": read}[task](*map(pathlib.Path, folders))
