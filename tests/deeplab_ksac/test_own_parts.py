"""An experiment with a head, a loss and an augmentation of its own, from a file: trained, told of, saved and loaded."""

import dataclasses
import json
import logging
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

import deeplab_ksac
from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.experiment import Experiment, from_dict, part, to_dict
from deeplab_ksac.heads import FCNHead
from deeplab_ksac.import_paths import load_file
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.models.folder import read_model, save_model
from deeplab_ksac.models.loading import experiment_of
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.workdir import claim_workdir, read_experiment, read_metrics
from deeplab_ksac.training.initial_weights import initialize
from deeplab_ksac.training.listeners import StageStart
from deeplab_ksac.training.optimizers import build_optimizer
from tests.deeplab_ksac.tiny_backbone import tiny_backbone, tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert
from tests.random_layers import randomize

OWN = """
import tensorflow as tf
from deeplab_ksac.keras2 import keras


class MyHead(keras.layers.Layer):
    def __init__(self, filters=4, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(filters, 1, name="conv")

    def call(self, pyramid):
        features = self.conv(pyramid["c5"])
        if tf.reduce_max(features) > 1e6:  # on a tensor
            features = features / 1e6
        return {"features": features}


class MyLoss:
    def __call__(self, outputs, labels):
        square = tf.reduce_mean(outputs["logits"] ** 2)
        if square > 1e6:
            square = tf.sqrt(square)
        return {"mine": square}


def darker(example, seed, most=0.5):
    factor = 1 - most * tf.random.stateless_uniform([], seed)
    return {**example, "image": example["image"] * factor}
"""


class Recorder(deeplab_ksac.Listener):
    def __init__(self):
        self.told = []

    def on_stage(self, start):
        self.told.append(("stage", start.stage, start.step))

    def on_step(self, step, values):
        self.told.append(("step", step, values))

    def on_evaluation(self, step, result):
        self.told.append(("evaluation", step, result))

    def on_checkpoint(self, step, path):
        self.told.append(("checkpoint", step, path))

    def on_stage_end(self, finished):
        self.told.append(("end", finished))


class Broken(Recorder):
    def on_step(self, step, values):
        super().on_step(step, values)
        raise RuntimeError("no\nnetwork")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, experiment, listeners, what was logged) of two steps; the file of the experiment's own is gone since."""
    place = tmp_path_factory.mktemp("own")
    (place / "mine.py").write_text(OWN)
    mine = load_file(place / "mine.py")
    data = dataclasses.replace(EXPERIMENT.stages[0].data, augmentations=(part(mine.darker, most=0.25),))
    experiment = dataclasses.replace(
        EXPERIMENT,
        model=dataclasses.replace(EXPERIMENT.model, head=part(mine.MyHead, filters=3), bottleneck=None),
        stages=(dataclasses.replace(EXPERIMENT.stages[0], data=data, steps=2),),
        losses=(part("cross_entropy"), part(mine.MyLoss)),
    )
    listeners, logged = [Broken(), Recorder()], []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger("deeplab_ksac").addHandler(handler)
    with tiny_backbone_known():
        deeplab_ksac.train(experiment, data_dir=convert(place), workdir=place / "run", listeners=listeners)
        logging.getLogger("deeplab_ksac").removeHandler(handler)
        (place / "mine.py").unlink()
        forget(mine)
        yield place, experiment, listeners, logged


def forget(module):
    """What a new process has not: the module of a file that was run."""
    sys.modules.pop(module.__name__, None)


def test_a_run_is_read_by_its_own_copy_of_the_file(run):
    place, experiment, *_ = run
    recorded = json.loads((place / "run/experiment.json").read_text())
    assert recorded["model"]["head"] == {"name": "code/mine.py:MyHead", "args": {"filters": 3}}
    assert (place / "run/code/mine.py").read_text() == OWN
    loaded = load_model(place / "run")
    assert loaded.experiment.model.head == part(f"{place}/run/code/mine.py:MyHead", filters=3)
    assert [layer.output_shape for layer in loaded.model.layers if layer.name == "head"] == [
        {"features": (None, None, None, 3)}
    ]
    lines = [line for line in read_metrics(place / "run") if "train/loss" in line]
    assert lines and all(line["train/mine"] > 0 for line in lines)
    assert experiment.stages[0].data.augmentations[0].args == {"most": 0.25}


def test_a_run_goes_on_with_the_file_that_it_began_with_and_no_other(run, tmp_path):
    place, *_ = run
    shutil.copytree(place / "run", tmp_path / "moved")
    experiment, info = read_experiment(tmp_path / "moved"), load_info("tiny", place / "data")
    claim_workdir(tmp_path / "moved", experiment, info)
    (tmp_path / "mine.py").write_text(OWN.replace("4", "8"))
    edited = json.loads(json.dumps(to_dict(experiment)).replace(f"{tmp_path}/moved/code", str(tmp_path)))
    with pytest.raises(ValueError, match=r"another version of mine.py, kept as .*; continue with that by --config="):
        claim_workdir(tmp_path / "moved", from_dict(Experiment, edited), info)
    other_head = dataclasses.replace(experiment.model, head=part(f"{tmp_path}/mine.py:MyHead", filters=3))
    with pytest.raises(ValueError, match=r"/mine.py and .*/code/mine.py have one name and differ"):
        claim_workdir(tmp_path / "new", dataclasses.replace(experiment, model=other_head), info)
    (tmp_path / "moved/code/mine.py").unlink()
    with pytest.raises(ValueError, match=r"model.head: .*moved/code/mine.py does not exist"):
        build_model(experiment.model, 3)


def test_a_saved_model_runs_the_code_that_it_brings_along_only_where_that_is_allowed(run, tmp_path):
    place, *_ = run
    loaded = load_model(place / "run")
    folder = save_model(loaded, tmp_path / "saved")
    save_model(loaded, folder, overwrite=True)
    module = sys.modules[type(loaded.model.get_layer("head")).__module__]
    forget(module)
    for read in (read_model, experiment_of):
        with pytest.raises(ValueError, match=r"code of its own, code/mine.py:MyHead, .*\(--allow_code\)"):
            read(folder)
    assert module.__name__ not in sys.modules
    again = read_model(folder, allow_code=True)
    image = np.zeros([1, 33, 33, 3], np.float32)
    np.testing.assert_array_equal(again.model(image)["logits"], loaded.model(image)["logits"])


def test_a_training_starts_from_a_saved_model_with_code_of_its_own_only_where_that_is_allowed(run, tmp_path):
    place, *_ = run
    loaded = load_model(place / "run")
    folder = str(save_model(loaded, tmp_path / "saved"))
    spec, named = loaded.experiment.model, {"class_names": loaded.info.class_names}
    module = sys.modules[type(loaded.model.get_layer("head")).__module__]
    forget(module)
    place = {"data_dir": place / "data", "workdir": tmp_path / "new"}
    with pytest.raises(ValueError, match=r"code of its own, code/mine.py:MyHead, .*\(--allow_code\)"):
        deeplab_ksac.train(EXPERIMENT, init_from=folder, **place)
    assert module.__name__ not in sys.modules and not list((tmp_path / "new").rglob("*.json"))
    told, model = [], randomize(build_model(spec, 3), seed=9)
    initialize(model, spec.backbone, tmp_path, 0, folder, allow_code=True, tell=told.append, **named)
    assert told == [f"7 of 7 layers have the weights of {folder}, step 2"]
    for weight, expected in zip(model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_listeners_hear_what_is_logged_and_one_that_fails_is_told_nothing_more(run):
    place, _, (broken, recorder), logged = run
    assert [told[:2] for told in broken.told] == [("stage", 0), ("step", 1)]
    assert logged == ["the listener Broken failed in on_step and is told nothing more: RuntimeError: no network"]
    kinds = [told[:2] for told in recorder.told]
    assert kinds == [
        ("stage", 0), ("step", 1), ("step", 2), ("checkpoint", 2), ("evaluation", 2), ("end", True),
    ]  # fmt: skip
    told = dict(zip(kinds, recorder.told, strict=True))
    first, *_, last = read_metrics(place / "run")
    assert {f"train/{name}": value for name, value in told["step", 1][2].items()}.items() <= first.items()
    assert told["evaluation", 2][2].scalars().items() <= last.items()
    assert [picture.shape[1] % 3 for picture in told["evaluation", 2][2].pictures] == [0, 0, 0]
    assert told["checkpoint", 2][2] == place / "run/stage_0/ckpt-2"
    with pytest.raises(ValueError, match=r"listeners must be of deeplab_ksac.Listener, not <function"):
        deeplab_ksac.train(EXPERIMENT, data_dir=place, workdir=place / "x", listeners=[load_info])


def test_a_listener_for_mlflow_says_what_it_wants(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(OSError, match=r"which cannot be imported .*: pip install 'deeplab-ksac\[mlflow\]'$"):
        deeplab_ksac.MLflowListener("file:///tmp")


def test_mlflow_gets_the_run_in_its_own_store(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    place, _, (_, recorder), _ = run
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ValueError, match=r"MLflow does not take file:///.*MLFLOW_ALLOW_FILE_STORE=true"):
        deeplab_ksac.MLflowListener(uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    workdir = shutil.copytree(place / "run", tmp_path / "run", ignore=shutil.ignore_patterns("stage_0", "best"))
    told = {entry[:2]: entry[-1] for entry in recorder.told}

    def begun(step):
        listener = deeplab_ksac.MLflowListener(uri, experiment_name="own")
        listener.on_stage(StageStart(workdir, 0, step))
        return listener

    def found():
        client = mlflow.MlflowClient(uri)
        (run,) = client.search_runs([client.get_experiment_by_name("own").experiment_id])
        steps = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "train/loss")]
        return run, steps

    interrupted = begun(0)
    interrupted.on_step(1, told["step", 1])
    interrupted.on_stage_end(False)
    assert found()[0].info.status == "KILLED"
    resumed = begun(1)
    resumed.on_step(2, told["step", 2])
    resumed.on_checkpoint(2, told["checkpoint", 2])
    resumed.on_evaluation(2, told["evaluation", 2])
    resumed.on_stage_end(True)
    run, steps = found()
    assert run.info.status == "FINISHED" and steps == [(step, told["step", step]["loss"]) for step in (1, 2)]
    assert run.data.params["model.head.args.filters"] == "3" and run.data.params["stages.0.steps"] == "2"
    assert run.data.tags["checkpoint"] == str(place / "run/stage_0/ckpt-2")
    assert run.data.metrics["eval/miou"] == told["evaluation", 2].figures["miou"]


def no_features(**_):
    return keras.layers.Lambda(lambda pyramid: pyramid["c5"])


def no_model():
    return 3


def fails(size):
    return size + "x"


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"head": part(no_features)}, "model: the head must give a dict with 'features', not"),
        ({"neck": part(no_features)}, "model: the neck must give a dict with 'c5', not"),
        ({"backbone": part(no_model)}, "model.backbone: '.*:no_model' must make a keras.Model, not int"),
        ({"head": part(no_model, x=1)}, "model.head: '.*:no_model' takes no 'x'"),
        ({"head": part(fails, size=1)}, rf"cannot be made of {{'size': 1}}: .* \({__file__}, line \d+\)"),
        ({"head": part("no.module:Head")}, "model.head: there is no module 'no'"),
    ),
)
def test_a_part_of_ones_own_that_does_not_fit_is_named(changes, words):
    spec = dataclasses.replace(EXPERIMENT.model, backbone=part(tiny_backbone), bottleneck=None)
    with pytest.raises(ValueError, match=words):
        build_model(dataclasses.replace(spec, **changes), 3)


def test_losses_and_optimizers_of_ones_own_are_what_they_should_be():
    with pytest.raises(ValueError, match=r"losses\[0\]: '.*no_model' must make a function"):
        build_objective([part(no_model)], 3)
    with pytest.raises(ValueError, match=r"losses\[0\] must give scalars by name, not NoneType"):
        build_objective([part(Silent)], 3)({"logits": tf.zeros([1, 2, 2, 3])}, tf.zeros([1, 2, 2], tf.int32))
    with pytest.raises(ValueError, match=r"stages\[0\].optimizer: '.*no_model' must make a GroupedOptimizer, not int"):
        build_optimizer(part(no_model), 3)


class Silent:
    def __call__(self, outputs, labels):
        return None


def test_a_part_of_the_package_may_be_given_by_value():
    spec = dataclasses.replace(EXPERIMENT.model, backbone=part(tiny_backbone), head=part(FCNHead, filters=4))
    by_name = dataclasses.replace(spec, head=part("fcn", filters=4))
    weights = [[(weight.name, weight.shape) for weight in build_model(each, 3).weights] for each in (spec, by_name)]
    assert weights[0] == weights[1]
