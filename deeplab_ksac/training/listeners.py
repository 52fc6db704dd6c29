"""Who is told how a training goes: the base class of listeners, and what keeps one that fails from ending the run."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.storage import Place

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class StageStart:
    """Where a stage begins, or goes on after an interruption.

    Attributes:
        workdir: the run's folder; `runs.workdir.read_experiment` gives its experiment.
        stage: index of the stage.
        step: steps of the stage that are done; what was told of later ones is told again.
        evaluated: whether the evaluation after these steps was told to its end, where there was to be one.
    """

    workdir: str | os.PathLike
    stage: int
    step: int
    evaluated: bool = True


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation during training has found.

    Attributes:
        figures: of the pictures that evaluation takes: "miou", "iou" by class …, as `evaluation.summarize`.
        whole: of all pictures of the split, after the last step of a stage where evaluation takes a part of them; else
            None.
        pictures: image, truth and prediction side by side, uint8 [H, 3 · W, 3] each: the first ones of the split.
    """

    figures: Mapping[str, Any]
    whole: Mapping[str, Any] | None = None
    pictures: Sequence[np.ndarray] = ()

    def scalars(self) -> dict[str, float]:
        """The figures that are single numbers: "eval/miou" …, and those of the whole split "eval_whole/miou" …"""
        several = {"eval": self.figures} if self.whole is None else {"eval": self.figures, "eval_whole": self.whole}
        return {
            f"{kind}/{name}": value
            for kind, found in several.items()
            for name, value in found.items()
            if isinstance(value, float)
        }


class Listener:
    """Is told how a training goes; every method does nothing, and a listener has those that it needs.

    Steps are counted within a stage. Of several workers one tells its listeners. A run that goes on after an
    interruption tells again what came after its checkpoint.

    Example:
        class Printer(Listener):
            def on_evaluation(self, step, result):
                print(step, result.figures["miou"])

        train(experiment, data_dir="data", workdir="runs/a", listeners=[Printer()])
    """

    def on_stage(self, start: StageStart) -> None:
        """A stage begins, or goes on."""

    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        """So many steps are done: told every `log_every` steps and after the last.

        Args:
            step: the steps done.
            values: of the last of them: "loss", its terms by name, "learning_rate", and since the last time
                "images_per_second" and "data_wait", the share of time spent waiting for data. All are finite.
        """

    def on_evaluation(self, step: int, result: EvaluationResult) -> None:
        """The model was evaluated after so many steps."""

    def on_checkpoint(self, step: int, path: Place) -> None:
        """A checkpoint is complete; `path` is what the names of its files begin with."""

    def flush(self) -> None:
        """A checkpoint is about to be saved: what was told so far is to be in files."""

    def on_stage_end(self, finished: bool) -> None:
        """The stage has ended; not `finished` where an error or a signal interrupts it."""


class Shielded(Listener):
    """A listener whose errors are a warning that names it, after which it is told nothing more."""

    def __init__(self, listener: Listener):
        if not isinstance(listener, Listener):
            raise ValueError(f"listeners must be of deeplab_ksac.Listener, not {listener!r}")
        self.listener: Listener | None = listener

    def on_stage(self, start: StageStart) -> None:
        self._tell("on_stage", start)

    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        self._tell("on_step", step, values)

    def on_evaluation(self, step: int, result: EvaluationResult) -> None:
        self._tell("on_evaluation", step, result)

    def on_checkpoint(self, step: int, path: Place) -> None:
        self._tell("on_checkpoint", step, path)

    def flush(self) -> None:
        self._tell("flush")

    def on_stage_end(self, finished: bool) -> None:
        self._tell("on_stage_end", finished)

    def _tell(self, event, *told):
        if self.listener is None:
            return
        try:
            getattr(self.listener, event)(*told)
        except Exception as error:
            LOG.warning(
                "the listener %s failed in %s and is told nothing more: %s: %s",
                type(self.listener).__name__,
                event,
                type(error).__name__,
                in_one_line(error),
            )
            self.listener = None
