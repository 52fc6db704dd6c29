"""What a run's folder says of itself: its configuration, its classes, its measurements."""

import json
import pathlib

from deeplab_ksac.datasets.info import INFO_FILE, read_info, save_info
from deeplab_ksac.experiment import Experiment, differences, from_dict, to_dict
from deeplab_ksac.whole_files import unwritable, write_whole

EXPERIMENT_FILE = "experiment.json"
METRICS_FILE = "metrics.jsonl"
STARTS_FILE = "starts.jsonl"


def append_line(path, **values):
    """Appends a JSON line to a file."""
    try:
        with pathlib.Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")
    except OSError as error:
        raise unwritable(path, error) from error


def record_start(workdir, facts):
    """Appends what a run was started with to the folder's list of starts."""
    append_line(pathlib.Path(workdir) / STARTS_FILE, **facts)


def claim_workdir(workdir, experiment, info):
    """Writes configuration and classes into the run's folder, or checks that they are those of the run begun there.

    Raises:
        ValueError: the folder holds a run of another configuration or of other classes; the message says what differs.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    path, new = workdir / EXPERIMENT_FILE, json.loads(json.dumps(to_dict(experiment)))
    if path.exists():
        changed = differences(_completed(json.loads(path.read_text(encoding="utf-8"))), new)
        if changed:
            raise ValueError(
                f"{workdir} holds a run of another configuration; {'; '.join(changed)}. Take a new workdir"
            )
        if read_info(workdir).class_names != info.class_names:
            raise ValueError(f"{workdir} holds a run with the classes of {read_info(workdir).name}, not {info.name}")
        return
    save_info(info, workdir)
    write_whole(path, json.dumps(new, indent=1) + "\n")


def _completed(fields):
    """The configuration of a run with the fields that were added since it was begun, at their defaults."""
    try:
        return json.loads(json.dumps(to_dict(from_dict(Experiment, fields))))
    except (TypeError, ValueError):  # a field that there is no more: said as a difference
        return fields


def read_workdir(workdir):
    """(experiment, info) of the run in a folder.

    Raises:
        FileNotFoundError: there is no run in the folder.
    """
    workdir = pathlib.Path(workdir)
    for name in (EXPERIMENT_FILE, INFO_FILE):
        if not (workdir / name).is_file():
            raise FileNotFoundError(f"{workdir} holds no training run: {name} is missing; scripts/train.py makes one")
    fields = json.loads((workdir / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    return from_dict(Experiment, fields), read_info(workdir)


class MetricsLog:
    """Measurements as JSON lines {"stage", "step", …}; a resumed run goes on after the step it was resumed from."""

    def __init__(self, workdir, stage, first_step):
        self.path, self.stage = pathlib.Path(workdir) / METRICS_FILE, stage
        kept = [
            line
            for line in read_metrics(workdir)
            if (line["stage"], line["step"]) <= (stage, first_step) and not (first_step == 0 and line["stage"] == stage)
        ]
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step, **values):
        """Appends one line."""
        append_line(self.path, stage=self.stage, step=step, **values)


def read_metrics(workdir):
    """The measurements of the run in a folder, line by line, as dicts."""
    path = pathlib.Path(workdir) / METRICS_FILE
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(text)
        except json.JSONDecodeError:  # a line that was being written when the run was killed
            continue


def was_evaluated(workdir, stage, step):
    """Whether the evaluation after a step of a stage was logged to its end."""
    return any(
        (line["stage"], line["step"]) == (stage, step) and any(name.startswith("eval/") for name in line)
        for line in read_metrics(workdir)
    )
