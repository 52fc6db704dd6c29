"""What training costs in addition to its steps: replicas, checkpoints, the host's work between steps, determinism.

And what a step in half precision takes.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import sys
import tempfile
import time

import numpy as np

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from deeplab_ksac.experiments.animals import ANIMALS
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process

SMALL = Experiment(
    name="small",
    model=ModelSpec(
        backbone=part("mobilenet_v2", alpha=0.5),
        head=part("ksac", filters=64),
        bottleneck={"filters": 64, "kernel_size": 1},
        output_stride=16,
    ),
    stages=(Stage(data=Data(sources=("scenes/train",), crop_size=(129, 129)), steps=10**6, batch_size=8),),
    evaluation=EvalSpec("scenes/val"),
)
LARGE = dataclasses.replace(
    SMALL,
    model=ModelSpec(backbone=part("resnet50"), head=part("ksac"), output_stride=16),
    stages=(dataclasses.replace(SMALL.stages[0], data=Data(("scenes/train",), crop_size=(321, 321)), batch_size=2),),
)
# The author's share of a replica: two images.
SHARED = dataclasses.replace(LARGE, stages=(dataclasses.replace(LARGE.stages[0], batch_size=4),))
LITE0 = dataclasses.replace(
    LARGE,
    model=ANIMALS["animals_ksac_lite0"].model,
    stages=(dataclasses.replace(LARGE.stages[0], batch_size=8),),
)
EXPERIMENTS = {"small": SMALL, "shared": SHARED, "resnet50": LARGE, "lite0": LITE0}
STEPS_A_TURN = 2

# A process that takes a step for each line it reads: devices are split and operations made deterministic once only.
PROGRAM = """
import json, sys
from deeplab_ksac.scripts.cases import training
options = json.loads(sys.argv[1])
turn = training.stepper(**options)
print("ready", flush=True)
for _ in sys.stdin:
    turn()
    print("done", flush=True)
"""


def stepper(experiment, replicas=1, deterministic=False, precision="float32"):
    """Sets this process up; a callable that takes a few steps of one of `EXPERIMENTS` on a random batch."""
    import tensorflow as tf

    from deeplab_ksac.training import strategy as strategies

    if replicas > 1:
        strategies.split_cpu(replicas)
    if deterministic:
        strategies.make_deterministic(0)
    strategies.set_precision(precision)
    strategy = strategies.create_strategy("mirrored" if replicas > 1 else "one_device")
    run = stage_run(EXPERIMENTS[experiment], strategy)
    size = (run.stage.batch_size, *run.stage.data.crop_size)
    rng, count = np.random.default_rng(0), run.stage.batch_size // replicas
    batch = {
        "image": rng.uniform(0, 255, [*size, 3]).astype("float32"),
        "labels": rng.integers(0, run.info.num_classes, size).astype("int32"),
    }

    def share(context):
        number = context.replica_id_in_sync_group
        return {name: tf.constant(value[number * count : (number + 1) * count]) for name, value in batch.items()}

    shares = strategy.experimental_distribute_values_from_function(share)

    def turn():
        for _ in range(STEPS_A_TURN):
            terms = run.train_step(shares)
        return float(terms["loss"])

    return turn


def stage_run(experiment, strategy):
    """The first stage of an experiment, in a folder that goes with the process."""
    from deeplab_ksac.training.stage import StageRun

    folder = tempfile.TemporaryDirectory(prefix="benchmark_")
    KEPT.append(folder)
    data_dir = converted()
    info = load_info("scenes", data_dir)
    return StageRun(experiment, 0, info, data_dir=data_dir, workdir=folder.name, strategy=strategy)


@functools.cache
def converted():
    """A folder with a converted set of generated pictures of VOC's usual size, made once a process."""
    folder = tempfile.TemporaryDirectory(prefix="benchmark_")
    KEPT.append(folder)
    raw, data_dir = pathlib.Path(folder.name, "raw"), pathlib.Path(folder.name, "data")
    scenes.generate(raw, counts={"train": 32, "val": 2}, size=(375, 500))
    records.write_records("scenes", raw, data_dir)
    return data_dir


KEPT = []  # folders, until this process ends


def in_a_process(**options):
    """`stepper` in a process of its own, which ends with the side."""
    return prepare_process(PROGRAM, [json.dumps(options)], "the process of a side", python=sys.executable)


class EnoughError(Exception):
    """The steps of a turn are taken."""


class Counting:
    """The progress of a loop that ends it after `count` steps; the time runs from the end of the first."""

    def __init__(self, count):
        self.count, self.done, self.since = count, 0, None

    def update(self, n=1, **_):
        """Counts a step."""
        self.done += n
        if self.since is None:
            self.since = time.perf_counter()
        if self.done == self.count:
            raise EnoughError

    def close(self):
        """Nothing is open."""


class TimedLoop:
    """The real loop over the steps of `LARGE`, with the time that passes inside of its steps kept apart."""

    def __init__(self):
        import tensorflow as tf

        self.run = stage_run(LARGE, tf.distribute.OneDeviceStrategy("/cpu:0"))
        self.step, self.run.train_step = self.run.train_step, self.timed_step
        self.steps_taken = []  # the seconds inside of each step of a turn

    def timed_step(self, batch):
        """The step; its results are waited for."""
        start = time.perf_counter()
        terms = {name: value.numpy() for name, value in self.step(batch).items()}
        self.steps_taken.append(time.perf_counter() - start)
        return terms

    def between(self):
        """Some steps of the loop; the seconds, by the wall, that are not inside of them."""
        from deeplab_ksac.training.interruption import StopRequest
        from deeplab_ksac.training.loop import train_stage

        self.steps_taken.clear()
        progress = Counting(1 + STEPS_A_TURN)
        with contextlib.suppress(EnoughError):
            train_stage(self.run, 0, lambda *_, **__: progress, StopRequest())
        return time.perf_counter() - progress.since - self.inside()

    def steps(self):
        """Some steps of the loop; the seconds inside of them."""
        self.between()
        return self.inside()

    def inside(self):
        """The seconds inside of the steps of the last turn."""
        return sum(self.steps_taken[1:])

    def save(self):
        """Saves a checkpoint."""
        self.run.checkpoints.save(1)


@functools.cache
def timed_loop():
    """One for all sides: each of them prepares it."""
    return TimedLoop()


def replicas_case(experiment, title):
    """Two replicas against one."""
    sides = {name: functools.partial(in_a_process, experiment=experiment, replicas=n) for n, name in NUMBERS.items()}
    return Case(f"two replicas on two cores against one, {title}", sides, (Bound("two", "one", 1.15),))


def precision_case(experiment, title):
    """Half precision against single."""
    sides = {
        name: functools.partial(in_a_process, experiment=experiment, precision=precision)
        for name, precision in PRECISIONS.items()
    }
    return Case(f"a training step in mixed_bfloat16, {title}", sides, (Bound("bfloat16", "float32", None),))


NUMBERS = {1: "one", 2: "two"}
PRECISIONS = {"bfloat16": "mixed_bfloat16", "float32": "float32"}
CASES = {
    "replicas": replicas_case("shared", "R50 321×321"),
    "replicas_small": replicas_case("small", "a small network"),
    "deterministic": Case(
        title="a training step with deterministic operations",
        sides={
            "plain": functools.partial(in_a_process, experiment="small"),
            "deterministic": functools.partial(in_a_process, experiment="small", deterministic=True),
        },
        bounds=(Bound("deterministic", "plain", 1.1),),
    ),
    "bfloat16": precision_case("resnet50", "R50 321×321"),
    "bfloat16_lite0": precision_case("lite0", "Lite0 321×321"),
    "host": Case(
        title="all between the steps, R50 321×321, against the steps",
        sides={"between": lambda: timed_loop().between, "steps": lambda: timed_loop().inside},
        bounds=(Bound("between", "steps", 0.03),),
    ),
    "checkpoint": Case(
        title=f"saving a checkpoint against {LARGE.checkpoint_every} steps",
        sides={"saving": lambda: timed_loop().save, "steps": lambda: timed_loop().steps},
        bounds=(Bound("saving", "steps", 0.02),),
        work={"steps": STEPS_A_TURN / LARGE.checkpoint_every},
    ),
}
