"""Runs that were never trained: a checkpoint of the initial weights, and a few lines of metrics."""

import contextlib
import dataclasses
import json

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.experiment import part
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import StageCheckpoints
from deeplab_ksac.runs.workdir import claim_workdir
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert

ATTENTION = {"filters": 4, "key_filters": 2}
HEADS = {
    "ksac": part("ksac", filters=4, atrous_rates=(1, 2)),
    "caa": part("caa", **ATTENTION, gate_width=3, gate_depth=1),
    "danet": part("danet", **ATTENTION),
}


def untrained_run(workdir, head, info):
    """A run's folder with a checkpoint of the initial weights, and a few lines of metrics."""
    model_spec = dataclasses.replace(EXPERIMENT.model, head=head, bottleneck=None)
    claim_workdir(workdir, dataclasses.replace(EXPERIMENT, model=model_spec), info)
    keras.utils.set_random_seed(1)
    model = build_model(model_spec, info.num_classes)
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    StageCheckpoints(workdir, 0, model, optimizer, strategy=tf.distribute.get_strategy()).save(3)
    lines = [{"stage": 0, "step": step, "train/loss": 3.0 - step} for step in (1, 2, 3)]
    lines += [{"stage": 0, "step": 3, "eval/miou": 0.25}, {"stage": 1, "step": 2, "train/loss": 0.5}]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@contextlib.contextmanager
def untrained_runs(place):
    """A folder with converted pictures in `data` and a run for each of `HEADS`, which can be loaded while entered."""
    convert(place)
    with tiny_backbone_known():
        for name, head in HEADS.items():
            untrained_run(place / name, head, load_info("tiny", place / "data"))
        yield place
