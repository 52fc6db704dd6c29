"""What a stage asks for, in the real loop: plateau, decoupled decay, ratios, averages, several steps in a call."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import Data, ModelSpec, Stage, part
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model, restore_weights
from deeplab_ksac.training import loop
from deeplab_ksac.training.backbone_part import backbone_of
from deeplab_ksac.training.strategy import create_strategy
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert

MODEL = ModelSpec(
    backbone=TINY_BACKBONE,
    head=part("fcn", filters=2),
    bottleneck=None,
    output_stride=32,  # no dilation
    decoder=part("low_level", filters=2, low_level_filters=2),
)
ASKED = {
    "optimizer": part("adamw", learning_rate=0.01, backbone_lr=0.1, weight_decay=0.05),
    "schedule": part("plateau", interval=1, patience=1, min_gain=0.9, warmup_steps=1),
    "clip_norm": 0.5,
    "ema_decay": 0.9,
    "steps_per_call": 3,
}


class InterruptionError(Exception):
    pass


class InterruptingProgress(loop.SilentProgress):
    """Stops the run when its third step is reported, with others of the same call."""

    def __init__(self, total, label, start=0):
        self.steps = start

    def update(self, n=1, **shown):
        self.steps += n
        if self.steps >= 3:
            raise InterruptionError


@pytest.fixture(scope="module", autouse=True)
def backbone():
    with tiny_backbone_known():
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of a run of five steps and of one that was interrupted after its checkpoint of step 2."""
    folder = tmp_path_factory.mktemp("options")
    stage = dataclasses.replace(EXPERIMENT.stages[0], steps=5, **ASKED)
    experiment = dataclasses.replace(EXPERIMENT, model=MODEL, stages=(stage,), log_every=5, checkpoint_every=2)
    place = {"data_dir": convert(folder), "strategy": create_strategy("one_device"), "evaluates": False}
    for name, progress in (("straight", None), ("broken", InterruptingProgress), ("broken", None)):
        keras.utils.set_random_seed(0)
        if progress is None:
            loop.train(experiment, workdir=folder / name, **place)
            continue
        with pytest.raises(InterruptionError):
            loop.train(experiment, workdir=folder / name, progress=progress, **place)
    return folder / "straight", folder / "broken"


def logged(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def saved(workdir):
    """All that the last checkpoint holds: {name: array}."""
    reader = tf.train.load_checkpoint(checkpoint_path(workdir))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names}


def test_a_resumed_run_ends_with_all_the_state_of_one_that_was_not_stopped(runs):
    straight, broken = map(saved, runs)
    assert sorted(straight) == sorted(broken)
    for kind in ("model/", "averages/", "optimizer/plateau_state/", "optimizer/groups/backbone_decayed/"):
        assert any(name.startswith(kind) for name in straight)
    for name, expected in straight.items():
        np.testing.assert_array_equal(broken[name], expected, err_msg=name)


def test_the_plateau_goes_on_where_it_was(runs):
    rates = [logged(run)[0]["train/learning_rate"] for run in runs]
    assert rates[0] == rates[1] == pytest.approx(0.01 / 16, rel=1e-6)  # no loss after the first falls by nine tenths


def test_averages_are_what_is_loaded_unless_the_last_weights_are_asked_for(runs):
    held, model = saved(runs[0]), load_model(runs[0]).model
    for index, weight in enumerate(model.get_weights()):
        np.testing.assert_array_equal(weight, held[f"averages/values/{index}/.ATTRIBUTES/VARIABLE_VALUE"])
    averages = model.get_weights()
    restore_weights(model, checkpoint_path(runs[0]), averaged=False)
    assert all(not np.array_equal(w, a) for w, a in zip(model.get_weights(), averages) if w.ndim == 4)


def test_the_backbone_ends_where_the_head_or_neck_begins():
    model = build_model(dataclasses.replace(MODEL, neck=part("joint_pyramid_upsampling", filters=2)), 3)
    found = {variable.ref() for variable in backbone_of(model).trainable_variables}
    rest = [v.name.split("/")[0] for v in model.trainable_variables if v.ref() not in found]
    assert found and set(rest) == {"neck", "head", "decoder", "classifier"}


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"accumulate": 3}, "a batch_size of 16 cannot be split into accumulate=3 parts"),
        ({"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ({"steps_per_call": 0}, "steps_per_call must be at least 1, not 0"),
        ({"clip_norm": -1.0}, "clip_norm must be at least 0 and finite, not -1.0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), not 1.0"),
    ),
)
def test_a_stage_without_sense_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Stage(data=Data(sources=("tiny/train",)), steps=1, **changes)
