"""How long it takes until something happens: a training's first steps, a first prediction, a loaded model."""

import dataclasses
import functools
import json
import pathlib
import tempfile
import time

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.scripts.cases import Bound, Case, training
from deeplab_ksac.scripts.cases.interpreters import run_python

STEPS = (1, 100)


def experiment(steps):
    """ResNet-50 at output stride 16 with KSAC, on crops that take little time themselves."""
    stage = training.LARGE.stages[0]
    data = dataclasses.replace(stage.data, crop_size=(129, 129))
    return dataclasses.replace(training.LARGE, stages=(dataclasses.replace(stage, data=data, steps=steps),))


def kept_folder():
    """A folder that goes with this process."""
    folder = tempfile.TemporaryDirectory(prefix="benchmark_")
    training.KEPT.append(folder)
    return pathlib.Path(folder.name)


def seconds_of(*command):
    """The seconds that a process of this interpreter takes, from its start to its end; errors as of `run_python`."""
    begin = time.perf_counter()
    run_python(*command)
    return time.perf_counter() - begin


def train(steps):
    """A callable that runs `ksac train` in a new folder, and gives its seconds; its last checkpoint is in them."""
    folder = kept_folder()
    plan, data_dir = folder / "plan.json", training.converted()
    plan.write_text(json.dumps(to_dict(experiment(steps))))
    command = ["-m", "deeplab_ksac.scripts.train", f"--config={plan}", f"--data_dir={data_dir}", "--mode=train"]
    return lambda: seconds_of(*command, f"--workdir={tempfile.mkdtemp(dir=folder)}")


@functools.cache
def trained():
    """The folder of a run of one step."""
    from deeplab_ksac.training import loop

    workdir = kept_folder() / "run"
    loop.train(experiment(1), data_dir=training.converted(), workdir=workdir, evaluates=False)
    return workdir


def predict():
    """A callable that runs `ksac predict` on one picture, and gives its seconds."""
    folder, workdir = kept_folder(), trained()
    picture = sorted((training.converted().parent / "raw").rglob("*.jpg"))[0]
    command = ["-m", "deeplab_ksac.scripts.predict", f"--workdir={workdir}", f"--images={picture}"]
    return lambda: seconds_of(*command, f"--output_dir={tempfile.mkdtemp(dir=folder)}")


def load():
    """A callable that loads the run as a `Predictor`, in this process."""
    from deeplab_ksac.prediction.predictor import Predictor

    workdir = trained()
    return lambda: Predictor.load(workdir)


def bare():
    """A callable that starts a process which imports TensorFlow."""
    return lambda: seconds_of("-c", "import tensorflow")


SIDES = {f"train_{steps}": functools.partial(train, steps) for steps in STEPS}
SIDES |= {"predict": predict, "load": load, "tensorflow": bare}
CASES = {
    "start": Case(
        title="R50 OS16 from nothing, against importing TensorFlow",
        sides=SIDES,
        bounds=tuple(Bound(side, "tensorflow", None) for side in SIDES if side != "tensorflow"),
    )
}
