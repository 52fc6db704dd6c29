"""Checkpoints: saving, resuming, passing weights to the next stage, and loading a trained model."""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.model import build_model
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.transfer import copy_weights, restore_weights
from deeplab_ksac.runs.workdir import read_workdir
from deeplab_ksac.training.interruption import LOST_WORKER


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
        averages: `MovingAverages` that are saved too, or None.
        strategy: where they live. Of several workers all have to take part in saving, and one file counts.
        keep: how many are kept.
    """

    def __init__(self, workdir, stage, model, optimizer, *, strategy, objective=None, averages=None, keep=2):
        self.workdir, self.stage, self.model = pathlib.Path(workdir), stage, model
        saved = {"model": model, "optimizer": optimizer, "step": tf.Variable(0, dtype=tf.int64)}
        if objective is not None and objective.variables:
            saved["objective"] = objective.variables
        if averages is not None:
            saved["averages"] = averages
        self.checkpoint = tf.train.Checkpoint(**saved)
        self.keep, self.folder = keep, stage_dir(workdir, stage)
        if not strategy.extended.should_checkpoint:
            self.discarded = tempfile.TemporaryDirectory(prefix="worker_")
            self.folder = pathlib.Path(self.discarded.name)

    def restore_or_initialize(self, init_from=None, initialize=None):
        """Resumes the stage, or takes the previous stage's weights, or those of another run. Returns the step.

        Args:
            init_from: workdir of a run whose weights the first stage starts from; None starts from the initializers.
            initialize: a function of the model that gives the first stage's other weights than the initializers'.
        """
        step = self.newest()
        if step is not None:
            path = seals.checkpoint_prefix(stage_dir(self.workdir, self.stage), step)
            self.checkpoint.read(path).assert_consumed()
        elif self.stage > 0:
            restore_weights(self.model, checkpoint_path(self.workdir, stage=self.stage - 1), averaged=False)
        elif init_from is not None:
            copy_weights(load_model(init_from).model, self.model)
        elif initialize is not None:
            initialize(self.model)
        return int(self.checkpoint.step.numpy())

    def save(self, step):
        """Saves after `step` optimizer steps; the checkpoint counts only once it is whole, and then the oldest goes.

        Raises:
            OSError: it could not be written; those before are as they were.
        """
        self.checkpoint.step.assign(step)
        prefix = seals.checkpoint_prefix(self.folder, step)
        try:
            seals.remove(prefix)
            self.checkpoint.write(prefix)
            seals.seal(prefix)
        except LOST_WORKER:
            raise
        except (OSError, tf.errors.OpError) as error:
            self._remove_pieces(step)
            last = self.newest()
            kept = "there is none before it" if last is None else f"that of step {last} is as it was"
            reason = " ".join(str(error).split())
            raise OSError(
                f"the checkpoint of step {step} cannot be written to {self.folder} ({reason}); {kept}"
            ) from error
        for old in seals.whole_steps(self.folder)[: -self.keep]:
            seals.remove(seals.checkpoint_prefix(self.folder, old))

    def newest(self):
        """The step of the newest whole checkpoint, or None."""
        return seals.newest_whole(stage_dir(self.workdir, self.stage))

    def _remove_pieces(self, step):
        prefix = seals.checkpoint_prefix(self.folder, step)
        with contextlib.suppress(OSError):
            seals.remove(prefix)
        shutil.rmtree(f"{prefix}_temp", ignore_errors=True)


def checkpoint_path(workdir, step=None, stage=None):
    """The checkpoint of a step (default: the latest) of a stage (default: the last that has one).

    Raises:
        FileNotFoundError: there is none; the message lists the steps there are.
    """
    folders = sorted(pathlib.Path(workdir).glob("stage_*"), key=lambda folder: int(folder.name.split("_")[1]))
    if stage is not None:
        folders = [folder for folder in folders if folder == stage_dir(workdir, stage)]
    for folder in reversed(folders):
        steps = seals.whole_steps(folder)
        if not steps:
            continue
        wanted = seals.newest_whole(folder) if step is None else step
        if wanted not in steps:
            raise FileNotFoundError(f"{folder} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
        return seals.checkpoint_prefix(folder, wanted)
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


def load_model(workdir, step=None, *, stage=None, averaged=None):
    """The model of a run with the weights of a checkpoint: by default the latest of its last stage.

    Args:
        averaged: as `restore_weights`: by default the weights are moving averages where the run kept some.

    Raises:
        FileNotFoundError: no run or no such checkpoint in the folder.
    """
    experiment, info = read_workdir(workdir)
    path = checkpoint_path(workdir, step, stage)
    model = build_model(experiment.model, info.num_classes)
    restore_weights(model, path, averaged)
    number = int(pathlib.Path(path).parent.name.split("_")[1])
    return LoadedModel(model, experiment, info, int(path.rsplit("-", 1)[1]), number)
