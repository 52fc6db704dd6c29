"""Checkpoints: saving, resuming, finding one of a run, and loading a trained model from it."""

import contextlib
import dataclasses
import itertools
import logging
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.json_files import is_whole
from deeplab_ksac.losses import Objective
from deeplab_ksac.model import build_model
from deeplab_ksac.precision import in_precision
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.best import best_dir, best_path, keep_if_best, remove_leftovers, stage_of_best
from deeplab_ksac.runs.checkpoint_files import reading, writing
from deeplab_ksac.runs.matching import mismatches
from deeplab_ksac.runs.places import BEST, NEWEST, Checkpoint, checkpoint_number, stage_dir, stage_dirs, stage_number
from deeplab_ksac.runs.workdir import METRICS_FILE, read_provenance, read_workdir, went_past_a_checkpoint
from deeplab_ksac.storage import Place, place
from deeplab_ksac.storage.copies import move_folder, remove_folder
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.interruption import LOST_WORKER
from deeplab_ksac.training.replica_copies import equalizer

LOG = logging.getLogger(__name__)
NAMED_AT_MOST = 3


class LostCheckpointsError(ValueError):
    """A stage has no whole checkpoint any more, though it had; the message names each and what is wrong with it."""


def prepare_stages(workdir: str | os.PathLike, number: int, *, start_over: bool = False) -> None:
    """Looks through a run's checkpoints before it is continued; only the one training of the folder may call it.

    What killed saves have left is removed. Where a stage has lost its checkpoints, nothing is begun again unless it is
    asked for: then what is there of this stage and of the later ones is set aside, with the best checkpoint where it is
    one of these, and the stage begins at step 0.

    Args:
        workdir: the run's folder.
        number: of the run's stages.
        start_over: whether a stage whose checkpoints are lost begins again.

    Raises:
        LostCheckpointsError: a stage has lost its checkpoints, and `start_over` is False.
    """
    remove_leftovers(workdir)
    for stage in range(number):
        folder = stage_dir(workdir, stage)
        problem = _lost(workdir, stage)
        if problem is None:
            seals.remove_unfinished(folder)
        elif start_over:
            _set_aside(workdir, stage)
            return
        else:
            raise LostCheckpointsError(
                f"{folder} has no whole checkpoint to continue from: {problem}; restore one, or ask for the stage to "
                "begin again (--start_over), which sets aside what is there"
            )


def _lost(workdir, stage):
    """How a stage has lost the checkpoints that it had, in words; None where it has one, or had none yet."""
    folder = stage_dir(workdir, stage)
    damaged = seals.damages(folder)
    if len(damaged) < len(seals.steps_in(folder)):
        return None
    prefixes = {seals.checkpoint_prefix(folder, step): problem for step, problem in damaged.items()}
    later = any(seals.steps_in(other) for other in stage_dirs(workdir) if stage_number(other) > stage)
    best = stage_of_best(workdir)
    logged = went_past_a_checkpoint(workdir, stage) or (best is not None and best >= stage)
    if len(prefixes) > 1 or any(map(seals.is_sealed, prefixes)) or later or logged:
        return described(prefixes) or "the run went on from one, and it is gone"
    return None


def _set_aside(workdir, stage):
    """Moves what there is of a stage and of the later ones to a new folder in the run's, and copies the log there."""
    workdir = place(workdir)
    aside = next(free for n in itertools.count(1) if not (free := workdir / f"set_aside_{n}").exists())
    aside.mkdir()
    best = stage_of_best(workdir)
    if best_dir(workdir).exists() and (best is None or best >= stage):  # first: what is left still says what was lost
        move_folder(best_dir(workdir), aside / BEST)
    for folder in stage_dirs(workdir):
        if stage_number(folder) >= stage:
            move_folder(folder, aside / folder.name)
    with contextlib.suppress(FileNotFoundError):
        (aside / METRICS_FILE).write_bytes((workdir / METRICS_FILE).read_bytes())
    LOG.warning("stage %d of %s begins again; what there was of it is in %s", stage, workdir, aside)


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
        states = [*model.weights, *(() if objective is None else objective.variables)]
        if averages is not None:
            saved["averages"] = averages
            states += averages.of_states(model)
        self._equalize = equalizer(states, strategy)
        self.checkpoint = tf.train.Checkpoint(**saved)
        self.keep, self.workdir, self.stage = keep, workdir, stage
        self.resumed = stage_dir(workdir, stage)
        self.folder = self.resumed
        if not strategy.extended.should_checkpoint:
            self.discarded = tempfile.TemporaryDirectory(prefix="worker_")
            self.folder = pathlib.Path(self.discarded.name)

    def restore(self) -> int:
        """Reads the newest whole checkpoint; the steps done by then, 0 where there is none.

        Raises:
            ValueError: it is of another model, optimizer or objective.
        """
        step = self.newest()
        if step is None:
            return 0
        _read(seals.checkpoint_prefix(self.resumed, step), self.checkpoint, whole=True)
        return step

    def save(self, step: int) -> Place:
        """Saves after `step` optimizer steps; it counts only once it is complete; then the oldest is removed.

        Of what each replica keeps for itself all of them have the mean afterwards, as those that go on from the
        checkpoint.

        Returns:
            What the names of its files begin with.

        Raises:
            OSError: it could not be written; those before are as they were.
        """
        self._equalize()
        self.checkpoint.step.assign(step)
        prefix = seals.checkpoint_prefix(self.folder, step)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # which TensorFlow would not do through a link
            seals.remove(prefix)
            with writing(prefix) as written:
                self.checkpoint.write(written)
                sums = seals.checksums(written)
            seals.seal(prefix, sums)
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
        return place(prefix)

    def keep_best(self, step: int, figures: Mapping[str, Any]) -> None:
        """Keeps the saved checkpoint of a step beside the newest if it is the run's best: as `best.keep_if_best`.

        Of several workers all may call it, and one writes.

        Args:
            step: whose checkpoint is saved.
            figures: of its evaluation.

        Raises:
            OSError: it cannot be kept; the best before is as it was.
        """
        if self.folder == self.resumed:
            keep_if_best(self.workdir, self.stage, step, figures)

    def newest(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""
        return seals.newest_whole(self.resumed)

    def _remove_pieces(self, step):
        prefix = seals.checkpoint_prefix(self.folder, step)
        with contextlib.suppress(OSError):
            seals.remove(prefix)
        remove_folder(place(f"{prefix}_temp"))


def checkpoint_path(workdir: str | os.PathLike, checkpoint: Checkpoint = NEWEST, stage: int | None = None) -> str:
    """A checkpoint of a run.

    Only the files of that checkpoint are read, and of those that are newer but damaged.

    Args:
        workdir: the run's folder.
        checkpoint: "newest", "best" (by the validation mIoU during training), or the step of one of those there are.
        stage: that it is of; by default the last stage that has one.

    Raises:
        ValueError: `checkpoint` is none of these.
        FileNotFoundError: there is none; the message lists the steps there are, and what is wrong with those that are
            damaged.
    """
    if checkpoint == BEST:
        return best_path(workdir, stage)
    if checkpoint != NEWEST and not is_whole(checkpoint):
        raise ValueError(f"checkpoint must be {NEWEST!r}, {BEST!r} or a number of steps, not {checkpoint!r}")
    damaged = {}
    folders = stage_dirs(workdir)
    if stage is not None:
        folders = [folder for folder in folders if folder == stage_dir(workdir, stage)]
    for folder in reversed(folders):
        wanted = seals.newest_whole(folder) if checkpoint == NEWEST else checkpoint
        if wanted is not None and seals.damage(seals.checkpoint_prefix(folder, wanted)) is None:
            return seals.checkpoint_prefix(folder, wanted)
        found = {seals.checkpoint_prefix(folder, number): what for number, what in seals.damages(folder).items()}
        steps = seals.whole_steps(folder)
        if steps:
            problem = found.get(seals.checkpoint_prefix(folder, checkpoint))
            why = "" if problem is None else f" (that of step {checkpoint} is damaged: {problem})"
            listed = ", ".join(map(str, steps))
            raise FileNotFoundError(f"{folder} has no checkpoint of step {checkpoint}; it has {listed}{why}")
        damaged |= found
    where = place(workdir) if stage is None else stage_dir(workdir, stage)
    if damaged:
        raise FileNotFoundError(f"{where} has no whole checkpoint: {described(damaged)}")
    raise FileNotFoundError(f"{where} has no checkpoint yet")


def described(damaged: Mapping[str, str]) -> str:
    """Damaged checkpoints, {path: what is wrong}, in a line."""
    named = [f"{path}: {problem}" for path, problem in itertools.islice(damaged.items(), NAMED_AT_MOST)]
    more = [f"and {len(damaged) - NAMED_AT_MOST} more"] if len(damaged) > NAMED_AT_MOST else []
    return "; ".join(named + more)


def restore_weights(model: keras.Model, path: str, averaged: bool | None = None) -> None:
    """Reads a model's weights from a checkpoint; every weight must be there.

    Args:
        model: built.
        path: of the checkpoint, such as `checkpoint_path` gives.
        averaged: whether their moving averages are taken; None takes them where the checkpoint has some.

    Raises:
        ValueError: the checkpoint is of another model, or holds a weight that is NaN or infinite; or averages are asked
            for, and it has none.
    """
    with reading(path) as prefix:
        held = any(name.startswith("averages/values/") for name, _ in tf.train.list_variables(prefix))
    if averaged and not held:
        raise ValueError(f"{path} has no moving averages; a stage with ema_decay above 0 keeps some")
    _read(path, tf.train.Checkpoint(model=model))
    if held and averaged in (None, True):
        averages = MovingAverages(model)
        _read(path, tf.train.Checkpoint(averages=averages))
        averages.copy_to(model)
    weights = zip(model.weights, model.get_weights(), strict=True)
    damaged = [weight.name for weight, value in weights if not np.isfinite(value).all()]
    if damaged:
        more = f" and {len(damaged) - NAMED_AT_MOST} more" if len(damaged) > NAMED_AT_MOST else ""
        raise ValueError(f"{path} cannot be used; NaN or infinite: {', '.join(damaged[:NAMED_AT_MOST])}{more}")


def restore_objective(objective: Objective, path: str) -> None:
    """Reads what an objective keeps (CAR's moving centers) from a checkpoint of a stage with the same losses.

    Raises:
        ValueError: the checkpoint does not have it.
    """
    if objective.variables:
        _read(path, tf.train.Checkpoint(objective=objective.variables))


def _read(path, checkpoint, *, whole=False):
    """Reads objects from a checkpoint, in which all their variables must be, of the same shapes; `whole`: no others."""
    with reading(path) as prefix:
        wrong = mismatches(prefix, checkpoint, whole=whole)
        if wrong:
            raise ValueError(f"{path} is a checkpoint of a model other than the one built here: {'; '.join(wrong)}")
        status = checkpoint.read(prefix)
        status.assert_consumed() if whole else status.expect_partial().assert_existing_objects_matched()


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A trained model and what it was trained as.

    Attributes:
        model: image -> {"logits", …}.
        experiment: the run's configuration.
        info: names and colors of its classes.
        step: optimizer steps of the stage that the weights come from.
        stage: index of that stage.
        provenance: what else is known of the training, as `workdir.read_provenance`; JSON holds it.
        card: what people are told of a saved model, as Markdown; None where there is nothing.
    """

    model: keras.Model
    experiment: Experiment
    info: DatasetInfo
    step: int
    stage: int
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    card: str | None = None

    def network(self, precision: str = "float32") -> keras.Model:
        """The model as it computes in a precision of `experiment.PRECISIONS`: itself for float32, else a rounded copy.

        Raises:
            ValueError: as `in_precision`.
        """
        return in_precision(self.model, self.experiment.model, precision, self.info.bands)


def load_model(
    workdir: str | os.PathLike,
    checkpoint: Checkpoint = NEWEST,
    *,
    stage: int | None = None,
    averaged: bool | None = None,
) -> LoadedModel:
    """The model of a run with the weights of a checkpoint: by default the newest of its last stage.

    Args:
        workdir, checkpoint, stage: as `checkpoint_path`.
        averaged: as `restore_weights`: by default the weights are moving averages where the run kept some.

    Raises:
        FileNotFoundError: no run or no such checkpoint in the folder.
    """
    experiment, info = read_workdir(workdir)
    path = checkpoint_path(workdir, checkpoint, stage)
    model = build_model(experiment.model, info.num_classes, info.bands, blank=True)
    restore_weights(model, path, averaged)
    stage, step = checkpoint_number(path)
    return LoadedModel(model, experiment, info, step, stage, read_provenance(workdir, info))
