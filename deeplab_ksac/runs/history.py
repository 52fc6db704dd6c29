"""What workdirs say of their runs: configuration, evaluations, learning curves; read without TensorFlow."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deeplab_ksac.experiment import Experiment
from deeplab_ksac.json_files import (
    DamagedFileError,
    check_fields,
    is_list_of,
    is_number,
    is_text,
    is_whole,
    read_object,
)
from deeplab_ksac.runs.patience import last_steps
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment, read_metrics
from deeplab_ksac.storage import exists, matching, place, real

CURVES = ("train/loss", "eval/miou")


def _is_share_or_absent(value):
    return value is None or (is_number(value) and 0 <= value <= 1)


def _is_size(value):
    return value is None or (is_list_of(value, lambda side: is_whole(side, 1)) and len(value) == 2)


def _is_name(value):
    return is_text(value) and value != ""


REQUIRED = {  # what every evaluation's file holds
    "dataset": ("a name", _is_name),
    "split": ("a name", _is_name),
    "step": ("a number of steps", is_whole),
    "scales": ("a list of numbers", lambda value: is_list_of(value, is_number) and len(value) > 0),
    "flip": ("true or false", lambda value: isinstance(value, bool)),
    "miou": ("a number in [0, 1] or null", _is_share_or_absent),
}
OPTIONAL = {
    "stage": ("the number of a stage", is_whole),
    "window": ("two sides or null", _is_size),
    "pad_to": ("two sides or null", _is_size),
    "average": ("text", is_text),
    "precision": ("text", is_text),
    "class_names": ("a list of names", lambda value: is_list_of(value, is_text)),
    "iou": ("a list of numbers in [0, 1] or null", lambda value: is_list_of(value, _is_share_or_absent)),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One workdir.

    Attributes:
        workdir: its path.
        experiment: its complete configuration.
        evaluations: what its eval_*.json hold, each with "dataset", "split", "scales", "flip", "step" and "miou".
        curves: {quantity: ((step counted over all stages, value), …)} of `CURVES`, or of what else was asked for.
        steps: optimizer steps that were logged, over all stages.
        last_steps: the step after which each stage ends: its last, or where its patience has run out.
    """

    workdir: str
    experiment: Experiment
    evaluations: tuple[Mapping[str, Any], ...]
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    steps: int
    last_steps: tuple[int, ...]

    @property
    def all_steps(self) -> int:
        """The steps of all stages, as far as these go."""
        return sum(self.last_steps)

    def is_finished(self, evaluation: Mapping[str, Any]) -> bool:
        """Whether an evaluation is of the last step of the last stage."""
        stages = self.experiment.stages
        last = evaluation.get("stage", len(stages) - 1) == len(stages) - 1
        return last and evaluation["step"] == self.last_steps[-1]


def read_runs(patterns: Iterable[str]) -> list[Run]:
    """The runs in the workdirs that paths or patterns name, each once, sorted by path.

    Raises:
        ValueError: a pattern without any run, or a file that is not what a run leaves; the message names it.
    """
    runs = {}
    for pattern in patterns:
        # a path comes first: the name of a folder may have brackets
        named = [place(pattern)] if exists(pattern) else matching(pattern)
        found = [path for path in named if (path / EXPERIMENT_FILE).is_file()]
        if not found:
            raise ValueError(f"{pattern!r} matches no workdir: there is no {EXPERIMENT_FILE} in what it names")
        for path in found:
            if real(path) not in runs:  # two paths of one folder are one run
                runs[real(path)] = read_run(path)
    return sorted(runs.values(), key=lambda run: run.workdir)


def read_run(workdir: str | os.PathLike, quantities: Sequence[str] = CURVES) -> Run:
    """The `Run` of a folder, with the curves of `quantities`.

    Raises:
        FileNotFoundError: the folder is no run's.
        ValueError: a file that cannot be read as a run's.
    """
    workdir = place(workdir)
    path = workdir / EXPERIMENT_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{workdir} has no {EXPERIMENT_FILE}: it is no folder of a training run")
    experiment = read_experiment(workdir)
    evaluations = tuple(read_evaluation(path) for path in sorted(workdir.glob("eval_*.json")))
    lengths = tuple(last_steps(workdir, experiment))
    curves, steps = _read_curves(workdir, lengths, quantities)
    return Run(str(workdir), experiment, evaluations, curves, steps, lengths)


def read_evaluation(path: str | os.PathLike) -> dict[str, Any]:
    """What the JSON file of an evaluation holds.

    Raises:
        ValueError: it is no evaluation's; the message names the file.
    """
    content = read_object(path)
    check_fields(f"{path} is not an evaluation: it", content, REQUIRED, OPTIONAL)
    ious, names = content.get("iou"), content.get("class_names")
    if None not in (ious, names) and len(ious) != len(names):
        raise DamagedFileError(f"{path} is not an evaluation: it has {len(names)} classes and {len(ious)} IoUs")
    return content


def describe(evaluation: Mapping[str, Any]) -> str:
    """What was evaluated, and how where that is not single-scale on whole images: "voc2012/val, scales 0.5, 1"."""
    scales, average = evaluation["scales"], evaluation.get("average", "logits")
    precision = evaluation.get("precision", "float32")
    words = [f"{evaluation['dataset']}/{evaluation['split']}"]
    words += [] if list(scales) == [1.0] else [f"scales {', '.join(f'{scale:g}' for scale in scales)}"]
    words += ["with flip"] * bool(evaluation["flip"])
    sizes = {"window": evaluation.get("window"), "padded to": evaluation.get("pad_to")}
    words += [f"{name} {'x'.join(map(str, size))}" for name, size in sizes.items() if size is not None]
    words += [f"{average} averaged"] * (average != "logits")
    return ", ".join(words + [precision] * (precision != "float32"))


def _read_curves(workdir, lengths, quantities):
    """({name: points}, last step) of a run's metrics; what is no finite number is left out."""
    curves, last = {}, 0
    for line in read_metrics(workdir):
        step = sum(lengths[: line["stage"]]) + line["step"]
        last = max(last, step)
        for name in quantities:
            if is_number(line.get(name)):
                curves.setdefault(name, []).append((step, line[name]))
    return {name: tuple(points) for name, points in curves.items()}, last
