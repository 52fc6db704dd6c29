"""What a run's folder says of itself: its configuration, its classes, its starts, its measurements."""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from deeplab_ksac.datasets.info import INFO_FILE, DatasetInfo, read_info, save_info
from deeplab_ksac.experiment import Experiment, differences, from_dict, to_dict
from deeplab_ksac.whole_files import unwritable, write_whole

EXPERIMENT_FILE = "experiment.json"
METRICS_FILE = "metrics.jsonl"
STARTS_FILE = "starts.jsonl"


def claim_workdir(workdir: str | os.PathLike, experiment: Experiment, info: DatasetInfo) -> None:
    """Writes configuration and classes into the run's folder, or checks that they are those of the run begun there.

    Raises:
        ValueError: the folder holds a run of another configuration or of other classes; the message says what differs.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    path, new = workdir / EXPERIMENT_FILE, json.loads(json.dumps(to_dict(experiment)))
    if path.exists():
        changed = differences(_completed(_read_fields(path)), new)
        if changed:
            raise ValueError(
                f"{workdir} holds a run of another configuration; {'; '.join(changed)}. Choose a new workdir"
            )
        if read_info(workdir).class_names != info.class_names:
            raise ValueError(f"{workdir} holds a run with the classes of {read_info(workdir).name}, not {info.name}")
        return
    save_info(info, workdir)
    write_whole(path, json.dumps(new, indent=1) + "\n")


def read_workdir(workdir: str | os.PathLike) -> tuple[Experiment, DatasetInfo]:
    """(experiment, info) of the run in a folder.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its experiment.json cannot be read; the message names the field.
    """
    workdir = pathlib.Path(workdir)
    for name in (EXPERIMENT_FILE, INFO_FILE):
        if not (workdir / name).is_file():
            raise FileNotFoundError(f"{workdir} holds no training run: {name} is missing")
    return read_experiment(workdir), read_info(workdir)


def read_experiment(workdir: str | os.PathLike) -> Experiment:
    """The experiment of the run in a folder.

    Raises:
        OSError: it has no experiment.json.
        ValueError: the file cannot be read; the message names the field.
    """
    path = pathlib.Path(workdir) / EXPERIMENT_FILE
    try:
        return from_dict(Experiment, _read_fields(path))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _read_fields(path):
    """The fields of an experiment.json, under the names that they have now."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    for stage in fields.get("stages", ()):
        arguments = stage.get("optimizer", {}).get("args", {})
        if "betas" in arguments:  # of adamw and lamb, until they took Keras' names
            arguments["beta_1"], arguments["beta_2"] = arguments.pop("betas")
    return fields


def _completed(fields):
    """The configuration of a run with the fields that were added since it was begun, at their defaults."""
    try:
        return json.loads(json.dumps(to_dict(from_dict(Experiment, fields))))
    except (TypeError, ValueError):  # a field that no longer exists: shown as a difference
        return fields


def record_start(workdir: str | os.PathLike, facts: dict[str, Any]) -> None:
    """Appends what a run was started with to the folder's list of starts."""
    _append_line(pathlib.Path(workdir) / STARTS_FILE, facts)


class MetricsLog:
    """Measurements as JSON lines {"stage", "step", …}; a resumed run continues after the step it was resumed from."""

    def __init__(self, workdir: str | os.PathLike, stage: int, first_step: int):
        self.path, self.stage = pathlib.Path(workdir) / METRICS_FILE, stage
        kept = [
            line
            for line in read_metrics(workdir)
            if (line["stage"], line["step"]) <= (stage, first_step) and not (first_step == 0 and line["stage"] == stage)
        ]
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, **values: float) -> None:
        """Appends one line."""
        _append_line(self.path, {"stage": self.stage, "step": step, **values})


def read_metrics(workdir: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """The measurements of the run in a folder, line by line."""
    path = pathlib.Path(workdir) / METRICS_FILE
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(text)
        except json.JSONDecodeError:  # a line that was being written when the run was killed
            continue


def was_evaluated(workdir: str | os.PathLike, stage: int, step: int) -> bool:
    """Whether the evaluation after a step of a stage was logged to its end."""
    return any(
        (line["stage"], line["step"]) == (stage, step) and any(name.startswith("eval/") for name in line)
        for line in read_metrics(workdir)
    )


def _append_line(path, values):
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")
    except OSError as error:
        raise unwritable(path, error) from error
