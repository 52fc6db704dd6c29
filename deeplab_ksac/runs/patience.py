"""When a stage ends before its last step: its validation mIoU has not risen for as many evaluations as its patience."""

import math
import os
from collections.abc import Iterable

from deeplab_ksac.experiment import Experiment
from deeplab_ksac.json_files import is_number
from deeplab_ksac.runs.workdir import read_metrics

Evaluation = tuple[int, float | None]  # (steps of the stage, mIoU; NaN or None where nothing is labeled)


def early_end(evaluations: Iterable[Evaluation], patience: int) -> int | None:
    """The step after which a stage has ended early; None where it has not.

    That is the first evaluation which, with those right before it, makes `patience` in a row of which none is above all
    that came before them.

    Args:
        evaluations: of the stage, in order.
        patience: 0 for no early end.
    """
    highest, since = -math.inf, 0
    for step, miou in evaluations:
        rises = is_number(miou) and miou > highest
        highest, since = (miou, 0) if rises else (highest, since + 1)
        if since == patience > 0:
            return step
    return None


def logged_evaluations(workdir: str | os.PathLike, stage: int, until: int) -> list[Evaluation]:
    """The evaluations of a stage that its run has logged, up to a step."""
    return [
        (line["step"], line["eval/miou"])
        for line in read_metrics(workdir)
        if line["stage"] == stage and line["step"] <= until and "eval/miou" in line
    ]


def last_steps(workdir: str | os.PathLike, experiment: Experiment) -> list[int]:
    """The step after which each stage of a run ends: its last, or where it has ended early."""
    ends = []
    for index, stage in enumerate(experiment.stages):
        logged = logged_evaluations(workdir, index, stage.steps) if stage.patience else ()
        ends.append(early_end(logged, stage.patience) or stage.steps)
    return ends
