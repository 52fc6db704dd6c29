"""Checkpoints: saving, resuming, finding one of a run, and loading a trained model from it."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.losses import Objective
from deeplab_ksac.model import build_model
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.workdir import read_workdir
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.interruption import LOST_WORKER

REASON_LENGTH = 200


def stage_dir(workdir: str | os.PathLike, stage: int) -> pathlib.Path:
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

    def __init__(
        self,
        workdir: str | os.PathLike,
        stage: int,
        model: keras.Model,
        optimizer: tf.Module,
        *,
        strategy: tf.distribute.Strategy,
        objective: Objective | None = None,
        averages: MovingAverages | None = None,
        keep: int = 2,
    ):
        saved = {"model": model, "optimizer": optimizer, "step": tf.Variable(0, dtype=tf.int64)}
        if objective is not None and objective.variables:
            saved["objective"] = objective.variables
        if averages is not None:
            saved["averages"] = averages
        self.checkpoint = tf.train.Checkpoint(**saved)
        self.keep, self.resumed = keep, stage_dir(workdir, stage)
        self.folder = self.resumed
        if not strategy.extended.should_checkpoint:
            self.discarded = tempfile.TemporaryDirectory(prefix="worker_")
            self.folder = pathlib.Path(self.discarded.name)

    def restore(self) -> int:
        """Reads the newest whole checkpoint; the steps done by then, 0 where there is none."""
        step = self.newest()
        if step is None:
            return 0
        self.checkpoint.read(seals.checkpoint_prefix(self.resumed, step)).assert_consumed()
        return step

    def save(self, step: int) -> None:
        """Saves after `step` optimizer steps; it counts only once it is complete; then the oldest is removed.

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
            kept = "there is none before it" if last is None else f"that of step {last} is unchanged"
            reason = " ".join(str(error).split())
            raise OSError(
                f"the checkpoint of step {step} cannot be written to {self.folder} ({reason}); {kept}"
            ) from error
        for old in seals.whole_steps(self.folder)[: -self.keep]:
            seals.remove(seals.checkpoint_prefix(self.folder, old))

    def newest(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return seals.newest_whole(self.resumed)

    def _remove_pieces(self, step):
        prefix = seals.checkpoint_prefix(self.folder, step)
        with contextlib.suppress(OSError):
            seals.remove(prefix)
        shutil.rmtree(f"{prefix}_temp", ignore_errors=True)


def checkpoint_path(workdir: str | os.PathLike, step: int | None = None, stage: int | None = None) -> str:
    """The checkpoint of a step (default: the latest) of a stage (default: the last that has one).

    Only the files of that checkpoint are read, and of those that are newer but damaged.

    Raises:
        FileNotFoundError: there is none; the message lists the steps there are.
    """
    folders = sorted(pathlib.Path(workdir).glob("stage_*"), key=stage_number)
    if stage is not None:
        folders = [folder for folder in folders if folder == stage_dir(workdir, stage)]
    for folder in reversed(folders):
        wanted = seals.newest_whole(folder) if step is None else step
        if wanted is not None and seals.damage(seals.checkpoint_prefix(folder, wanted)) is None:
            return seals.checkpoint_prefix(folder, wanted)
        steps = seals.whole_steps(folder)
        if steps:
            raise FileNotFoundError(f"{folder} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}")
    where = pathlib.Path(workdir) if stage is None else stage_dir(workdir, stage)
    raise FileNotFoundError(f"{where} has no checkpoint yet")


def stage_number(folder: pathlib.Path) -> int:
    """The stage of a folder of checkpoints: the reverse of `stage_dir`."""
    return int(folder.name.split("_")[1])


def checkpoint_number(path: str | os.PathLike) -> tuple[int, int]:
    """(stage, step) of …/stage_<stage>/ckpt-<step>."""
    path = pathlib.Path(path)
    return stage_number(path.parent), int(path.name.rsplit("-", 1)[1])


def restore_weights(model: keras.Model, path: str, averaged: bool | None = None) -> None:
    """Reads a model's weights from a checkpoint; every weight must be there.

    Args:
        model: built.
        path: of the checkpoint, such as `checkpoint_path` gives.
        averaged: whether their moving averages are taken; None takes them where the checkpoint has some.

    Raises:
        ValueError: the checkpoint is of another model; or averages are asked for, and it has none.
    """
    held = any(name.startswith("averages/values/") for name, _ in tf.train.list_variables(path))
    if averaged and not held:
        raise ValueError(f"{path} has no moving averages; a stage with ema_decay above 0 keeps some")
    _read_all(path, model=model)
    if held and averaged in (None, True):
        averages = MovingAverages(model)
        _read_all(path, averages=averages)
        averages.copy_to(model)


def _read_all(path, **objects):
    """Reads objects from a checkpoint, in which all their variables must be, of the same shapes."""
    try:
        tf.train.Checkpoint(**objects).read(path).assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise ValueError(f"{path} is a checkpoint of a model other than the one built here: {reason}") from error


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


def load_model(
    workdir: str | os.PathLike, step: int | None = None, *, stage: int | None = None, averaged: bool | None = None
) -> LoadedModel:
    """The model of a run with the weights of a checkpoint: by default the latest of its last stage.

    Args:
        workdir, step, stage: as `checkpoint_path`.
        averaged: as `restore_weights`: by default the weights are moving averages where the run kept some.

    Raises:
        FileNotFoundError: no run or no such checkpoint in the folder.
    """
    experiment, info = read_workdir(workdir)
    path = checkpoint_path(workdir, step, stage)
    model = build_model(experiment.model, info.num_classes)
    restore_weights(model, path, averaged)
    stage, step = checkpoint_number(path)
    return LoadedModel(model, experiment, info, step, stage)
