"""Checkpoints: saving, resuming, passing weights to the next stage, and loading a trained model."""

import dataclasses
import pathlib
import tempfile

import tensorflow as tf
from tensorflow import keras

from datasets.info import DatasetInfo
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.model import build_model
from deeplab_ksac.training.workdir import read_workdir


def stage_dir(workdir, stage):
    """The folder of a stage's checkpoints and events."""
    return pathlib.Path(workdir) / f"stage_{stage}"


class StageCheckpoints:
    """The checkpoints of one stage: model, optimizer and step.

    Args:
        workdir: folder of the run.
        stage: index of the stage.
        model, optimizer: what is saved; the optimizer must be built.
        objective: whose variables are saved too, or None.
        strategy: where they live. Of several workers all have to take part in saving, and one file counts.
        keep: how many are kept.
    """

    def __init__(self, workdir, stage, model, optimizer, *, strategy, objective=None, keep=2):
        self.workdir, self.stage, self.model = pathlib.Path(workdir), stage, model
        saved = {"model": model, "optimizer": optimizer, "step": tf.Variable(0, dtype=tf.int64)}
        if objective is not None and objective.variables:
            saved["objective"] = objective.variables
        self.checkpoint = tf.train.Checkpoint(**saved)
        folder = stage_dir(workdir, stage)
        if not strategy.extended.should_checkpoint:
            self.discarded = tempfile.TemporaryDirectory(prefix="worker_")
            folder = self.discarded.name
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(folder), max_to_keep=keep, checkpoint_name="ckpt"
        )

    def restore_or_initialize(self, init_from=None):
        """Resumes the stage, or takes the previous stage's weights, or those of another run. Returns the step.

        Args:
            init_from: workdir of a run whose weights the first stage starts from; None starts from the initializers.
        """
        latest = tf.train.latest_checkpoint(str(stage_dir(self.workdir, self.stage)))
        if latest:
            self.checkpoint.restore(latest).assert_consumed()
        elif self.stage > 0:
            restore_weights(self.model, checkpoint_path(self.workdir, stage=self.stage - 1))
        elif init_from is not None:
            copy_weights(load_model(init_from).model, self.model)
        return int(self.checkpoint.step.numpy())

    def save(self, step):
        """Saves after `step` optimizer steps; the checkpoint counts only once it is whole."""
        self.checkpoint.step.assign(step)
        self.manager.save(checkpoint_number=step)


def restore_weights(model, path):
    """Reads a model's weights from a checkpoint; every weight must be there."""
    tf.train.Checkpoint(model=model).restore(path).assert_existing_objects_matched().expect_partial()


def copy_weights(source, target):
    """Copies the weights of equally named layers whose shapes agree; returns the names of the layers left alone.

    Raises:
        ValueError: no layer agrees.
    """
    left, copied = [], 0
    for layer in target.layers:
        if not layer.weights:
            continue
        twin = next((other for other in source.layers if other.name == layer.name), None)
        if twin is None or [w.shape for w in twin.weights] != [w.shape for w in layer.weights]:
            left.append(layer.name)
            continue
        layer.set_weights(twin.get_weights())
        copied += 1
    if not copied:
        raise ValueError("the two models have no layer in common")
    return left


def checkpoint_path(workdir, step=None, stage=None):
    """The checkpoint of a step (default: the latest) of a stage (default: the last that has one).

    Raises:
        FileNotFoundError: there is none; the message lists the steps there are.
    """
    folders = sorted(pathlib.Path(workdir).glob("stage_*"), key=lambda folder: int(folder.name.split("_")[1]))
    if stage is not None:
        folders = [folder for folder in folders if folder == stage_dir(workdir, stage)]
    for folder in reversed(folders):
        paths = tf.train.get_checkpoint_state(str(folder))
        steps = {int(path.rsplit("-", 1)[1]): path for path in (paths.all_model_checkpoint_paths if paths else ())}
        if not steps:
            continue
        wanted = max(steps) if step is None else step
        if wanted not in steps:
            raise FileNotFoundError(
                f"{folder} has no checkpoint of step {step}; it has {', '.join(map(str, sorted(steps)))}"
            )
        return str(folder / pathlib.Path(steps[wanted]).name)
    where = pathlib.Path(workdir) if stage is None else stage_dir(workdir, stage)
    raise FileNotFoundError(f"{where} has no checkpoint yet")


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A trained model and what it was trained as.

    Attributes:
        model: image -> {"logits", …}.
        experiment: the run's configuration.
        info: names and colors of its classes.
        step: optimizer steps of the stage that the weights come from.
        stage: index of that stage.
    """

    model: keras.Model
    experiment: Experiment
    info: DatasetInfo
    step: int
    stage: int


def load_model(workdir, step=None, *, stage=None):
    """The model of a run with the weights of a checkpoint: by default the latest of its last stage.

    Raises:
        FileNotFoundError: no run or no such checkpoint in the folder.
    """
    experiment, info = read_workdir(workdir)
    path = checkpoint_path(workdir, step, stage)
    model = build_model(experiment.model, info.num_classes)
    restore_weights(model, path)
    number = int(pathlib.Path(path).parent.name.split("_")[1])
    return LoadedModel(model, experiment, info, int(path.rsplit("-", 1)[1]), number)
