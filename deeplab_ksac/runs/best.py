"""The best checkpoint of a run, by its validation mIoU during training, kept beside the newest ones.

`best/stage_<stage>/ckpt-<step>.*` is that checkpoint, sealed as it was where it was saved: its files are linked, or
copied where the file system has no links, and in an object store. `best/best.json` says which it is and what it
reached; it is written once the checkpoint is whole, and what was the best before is removed after that. So at any
moment the record names a whole checkpoint.

Stages are trained for different ends, so their figures are not compared: the first evaluation of a stage replaces the
best of the stage before. Of equal figures the earlier one stays.
"""

import dataclasses
import json
import logging
import math
import os
from collections.abc import Mapping
from typing import Any

from deeplab_ksac.json_files import DamagedFileError, check_fields, is_number, is_whole, read_object
from deeplab_ksac.runs import seals
from deeplab_ksac.runs.places import BEST, NEWEST, stage_dir, stage_dirs
from deeplab_ksac.runs.workdir import read_metrics
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import remove_partial, write_whole

LOG = logging.getLogger(__name__)
RECORD = "best.json"
FIELDS = {
    "stage": ("the number of a stage", is_whole),
    "step": ("a number of steps", is_whole),
    "miou": ("a number in [0, 1]", lambda value: is_number(value) and 0 <= value <= 1),
    "images": ("a number of pictures", lambda value: is_whole(value, 1)),
}


@dataclasses.dataclass(frozen=True)
class Best:
    """Which checkpoint of a run is its best.

    Attributes:
        stage, step: of the checkpoint.
        miou: what it reached in the evaluation during training, 0 … 1.
        images: on how many pictures.
    """

    stage: int
    step: int
    miou: float
    images: int

    def prefix(self, workdir: str | os.PathLike) -> str:
        """What the names of its files begin with."""
        return seals.checkpoint_prefix(stage_dir(best_dir(workdir), self.stage), self.step)


def best_dir(workdir: str | os.PathLike) -> Place:
    """The folder of a run's best checkpoint and of the record of it."""
    return place(workdir) / BEST


def read_best(workdir: str | os.PathLike) -> Best | None:
    """What is recorded of a run's best checkpoint; None where nothing is.

    Raises:
        DamagedFileError: the record cannot be read; the message names the file.
    """
    path = best_dir(workdir) / RECORD
    if not path.exists():
        return None
    content = read_object(path)
    check_fields(path, content, FIELDS, {})
    return Best(**{name: content[name] for name in FIELDS})


def best_path(workdir: str | os.PathLike, stage: int | None = None) -> str:
    """The best checkpoint of a run, of a certain stage if that is given.

    Raises:
        FileNotFoundError: there is none, for the reason that the message says, or it is damaged.
        DamagedFileError: the record of it cannot be read.
    """
    best = read_best(workdir)
    if best is None:
        raise FileNotFoundError(f"{workdir} has no best checkpoint, since {_why_none(workdir)}; take the {NEWEST} one")
    if stage not in (None, best.stage):
        raise FileNotFoundError(f"the best checkpoint of {workdir} is of stage {best.stage}, not of stage {stage}")
    problem = seals.damage(best.prefix(workdir))
    if problem is not None:
        raise FileNotFoundError(f"{best.prefix(workdir)} cannot be used: {problem}; take the {NEWEST} checkpoint")
    return best.prefix(workdir)


def _why_none(workdir):
    mious = [line["eval/miou"] for line in read_metrics(workdir) if "eval/miou" in line]
    if not mious:
        return "no evaluation during its training is logged"
    return "it was trained before one was kept" if any(map(is_number, mious)) else "no evaluation had a labeled pixel"


def keep_if_best(workdir: str | os.PathLike, stage: int, step: int, figures: Mapping[str, Any]) -> None:
    """Keeps the checkpoint that a stage has just saved and evaluated, where it is the best; one process may call it.

    Whatever ends it, the best before or the new one is whole and recorded.

    Args:
        workdir: the run's folder.
        stage, step: of the checkpoint.
        figures: of an `Evaluator`: "miou", of which NaN is never the best, and "images".

    Raises:
        OSError: it cannot be kept; the best before is as it was.
    """
    found, kept = Best(stage, step, float(figures["miou"]), figures["images"]), _whole_best(workdir)
    # a run that went back to an earlier checkpoint comes by the step of the best again
    again = kept is not None and (kept.stage, kept.step) == (stage, step)
    if again or math.isnan(found.miou):
        return
    if kept is not None and (stage, found.miou) <= (kept.stage, kept.miou):
        return
    try:
        saved = seals.checkpoint_prefix(stage_dir(workdir, stage), step)
        seals.duplicate(saved, stage_dir(best_dir(workdir), stage))
        write_whole(best_dir(workdir) / RECORD, json.dumps(dataclasses.asdict(found), indent=1) + "\n")
        remove_leftovers(workdir)
    except OSError as error:
        raise OSError(
            f"the best checkpoint, that of step {step}, cannot be kept in {best_dir(workdir)} ({error})"
        ) from error


def _whole_best(workdir):
    """What is recorded of the best; None, with a line in the log, where it is damaged."""
    try:
        best = read_best(workdir)
    except DamagedFileError as error:
        LOG.warning("%s; the next checkpoint that is evaluated is taken for the best", error)
        return None
    problem = None if best is None else seals.damage(best.prefix(workdir))
    if problem is None:
        return best
    LOG.warning("%s is left out: %s; the next that is evaluated is the best", best.prefix(workdir), problem)
    return None


def stage_of_best(workdir: str | os.PathLike) -> int | None:
    """The stage of a run's best checkpoint; None where none is recorded, or the record cannot be read."""
    try:
        best = read_best(workdir)
    except DamagedFileError:
        return None
    return None if best is None else best.stage


def remove_leftovers(workdir: str | os.PathLike) -> None:
    """Removes all but the recorded best from its folder, such as what a kill has left; nobody may be writing there."""
    try:
        best = read_best(workdir)
    except DamagedFileError:  # which of the files are the best's is not known
        return
    for folder in stage_dirs(best_dir(workdir)):
        for step in seals.steps_in(folder):
            prefix = seals.checkpoint_prefix(folder, step)
            if best is None or prefix != best.prefix(workdir):
                seals.remove(prefix)
        if not any(folder.iterdir()):
            folder.rmdir()
    remove_partial(best_dir(workdir), alone=True)
