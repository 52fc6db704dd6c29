"""What a run's folder says of itself: its configuration, its classes, its starts, its measurements."""

import contextlib
import dataclasses
import json
import logging
import math
import os
from collections.abc import Iterator
from typing import Any

from deeplab_ksac.datasets.info import INFO_FILE, ConvertedInfo, DatasetInfo, read_info, require_bands, save_info
from deeplab_ksac.differences import differences
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.experiment import Experiment, from_dict, to_dict
from deeplab_ksac.json_files import (
    DamagedFileError,
    is_list_of,
    is_number,
    is_text,
    is_whole,
    parse_object,
    read_object,
)
from deeplab_ksac.only_one import PATIENCE, only_one
from deeplab_ksac.own_files import changed_files, packed, unpacked
from deeplab_ksac.runs.places import stage_dirs
from deeplab_ksac.runs.seals import steps_in
from deeplab_ksac.storage import place
from deeplab_ksac.whole_files import append, present, read_whole, write_whole

LOG = logging.getLogger(__name__)
EXPERIMENT_FILE = "experiment.json"
METRICS_FILE = "metrics.jsonl"
STARTS_FILE = "starts.jsonl"
OF_TRAINING = (EXPERIMENT_FILE, INFO_FILE, METRICS_FILE)  # what a training alone writes as whole files
LOCK_FILE = ".training.lock"


class WorkdirInUseError(OSError):
    """Another training writes to the folder; the message says which process of which host, and since when."""


def only_one_training(
    workdir: str | os.PathLike, *, patience: float = PATIENCE
) -> contextlib.AbstractContextManager[None]:
    """Keeps a second training out of a run's folder while it is entered; of several workers of a job one enters it.

    Args:
        workdir: the run's folder; it is made, and removed where nothing has come of it.
        patience: seconds to wait for another training that is just ending.

    Raises:
        WorkdirInUseError: another training holds the folder.
    """

    def busy(holder):
        return WorkdirInUseError(
            f"{workdir} is being trained by another process ({holder}); wait until it ends, or choose another workdir"
        )

    return only_one(place(workdir) / LOCK_FILE, busy=busy, patience=patience)


def claim_workdir(workdir: str | os.PathLike, experiment: Experiment, info: DatasetInfo) -> None:
    """Writes configuration and classes into the run's folder, or checks that they are those of the run begun there.

    Files of one's own that parts of the experiment come from are copied beside the configuration (`own_files`).

    Raises:
        ValueError: the folder holds a run of another configuration, of other classes, of another version of such a
            file, or of pictures of other bands or another normalization of them; the message says what differs. Or it
            holds a file of that name which is no run's, or checkpoints of which nothing says what they are of.
    """
    workdir = place(workdir)
    path, (new, files) = workdir / EXPERIMENT_FILE, packed(experiment)
    workdir.mkdir(parents=True, exist_ok=True)
    if present(path):
        changed = differences(_completed(_read_fields(path)), new)
        if changed:
            raise ValueError(
                f"{workdir} holds a run of another configuration; {'; '.join(changed)}. Choose a new workdir"
                + _with_weights_of(workdir)
            )
        begun = read_info(workdir)
        if begun.class_names != info.class_names:
            raise ValueError(f"{workdir} holds a run with the classes of {begun.name}, not {info.name}")
        changed = changed_files(files, workdir)
        if changed:
            raise ValueError(
                f"{workdir} holds a run with another version of {os.path.basename(changed[0])}, kept as "
                f"{workdir / changed[0]}; continue with that by --config={path}, or choose a new workdir"
            )
        require_bands(f"data set {info.name}", info.bands, begun.bands, f"the run in {workdir} was begun with those")
        if begun.bands != info.bands:
            raise ValueError(
                f"{workdir} holds a run whose pictures had another mean and deviation than {info.name} has now; choose "
                f"a new workdir{_with_weights_of(workdir)}"
            )
        return
    begun = next((folder for folder in stage_dirs(workdir) if steps_in(folder)), None)
    if begun is not None:
        raise ValueError(
            f"{workdir} has checkpoints in {begun.name}, and no {EXPERIMENT_FILE} that says of what; put it back, "
            "or choose a new workdir"
        )
    if (workdir / INFO_FILE).exists() and to_dict(read_info(workdir)) != to_dict(_as_converted(info)):
        raise ValueError(f"{workdir} holds the {INFO_FILE} of {read_info(workdir).name}, and no run; choose another")
    save_info(info, workdir)
    for name, content in files.items():
        (workdir / name).parent.mkdir(exist_ok=True)
        write_whole(workdir / name, content)
    write_whole(path, json.dumps(new, indent=1) + "\n")


def _with_weights_of(workdir):
    """What is left to do beside taking a new workdir."""
    if _has_checkpoints(workdir):
        return f", there with --init_from={workdir} to start from the weights of this run"
    return ", or remove this one, which has no checkpoint yet"


def _has_checkpoints(workdir):
    return any(map(steps_in, stage_dirs(workdir)))


def _as_converted(info):
    return ConvertedInfo(**{field.name: getattr(info, field.name) for field in dataclasses.fields(info)})


def read_workdir(workdir: str | os.PathLike) -> tuple[Experiment, DatasetInfo]:
    """(experiment, info) of the run in a folder.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its experiment.json cannot be read; the message names the field.
    """
    workdir = place(workdir)
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
    return read_experiment_file(place(workdir) / EXPERIMENT_FILE)


def read_experiment_file(path: str | os.PathLike) -> Experiment:
    """The experiment that a JSON file holds in the form of a run's; nothing of one's own that it names is loaded.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no experiment; the message names the field.
    """
    path = place(path)
    try:
        return unpacked(from_dict(Experiment, _read_fields(path)), path.parent)
    except DamagedFileError:
        raise
    except (TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from error


def _read_fields(path):
    """The fields of an experiment.json, under the names that they have now."""
    fields = read_object(path)
    stages = fields.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        arguments = _within(stage, "optimizer", "args")  # of adamw and lamb, until they took Keras' names
        betas = arguments.get("betas") if isinstance(arguments, dict) else None
        if is_list_of(betas, is_number) and len(betas) == 2:
            arguments["beta_1"], arguments["beta_2"] = arguments.pop("betas")
    return fields


def _within(value, *names):
    """What is under these names, one in another; None where there is no such thing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _completed(fields):
    """The configuration of a run with the fields that were added since it was begun, at their defaults."""
    try:
        return json.loads(json.dumps(to_dict(from_dict(Experiment, fields))))
    except (TypeError, ValueError):  # a field that no longer exists: shown as a difference
        return fields


def check_precision(workdir: str | os.PathLike, precision: str) -> None:
    """Makes sure that a run goes on in the precision of its checkpoints, where its list of starts says which that is.

    Raises:
        ValueError: it does not.
    """
    starts = list(_read_lines(place(workdir) / STARTS_FILE))
    known = starts[-1].get("precision") if starts else None
    if not is_text(known) or known == precision or not _has_checkpoints(workdir):
        return
    raise ValueError(
        f"{workdir} holds a run of precision {known}, not {precision}; continue with --precision={known}, or choose a "
        f"new workdir{_with_weights_of(workdir)}"
    )


def record_start(workdir: str | os.PathLike, facts: dict[str, Any]) -> None:
    """Appends what a run was started with to the folder's list of starts."""
    _append_line(place(workdir) / STARTS_FILE, facts)


def read_provenance(workdir: str | os.PathLike, info: DatasetInfo) -> dict[str, Any]:
    """What a model of the run in a folder comes from, without names of hosts, users and folders.

    Returns:
        {"examples": images by split, "starts": how often it was started, "begun": date, "code": [{"commit", "modified"}
        of each version of this code that it was started with], "packages", "precision", "replicas": of the last start};
        what is not known is left out.
    """
    starts = list(_read_lines(place(workdir) / STARTS_FILE))
    known = {"examples": dict(getattr(info, "num_examples", {}))}
    if starts:
        known["starts"] = len(starts)
        versions = [start["code"] for start in starts if isinstance(start.get("code"), dict)]
        known["code"] = [version for index, version in enumerate(versions) if version not in versions[:index]]
        known["begun"] = starts[0].get("date")
        known |= {name: starts[-1].get(name) for name in ("packages", "precision", "replicas")}
    return {name: value for name, value in known.items() if value not in (None, [], {})}


class MetricsLog:
    """Measurements as JSON lines {"stage", "step", …}; a resumed run continues after the step it was resumed from."""

    def __init__(self, workdir: str | os.PathLike, stage: int, first_step: int):
        self.path, self.stage = place(workdir) / METRICS_FILE, stage
        kept = [
            line
            for line in read_metrics(workdir)
            if (line["stage"], line["step"]) <= (stage, first_step) and not (first_step == 0 and line["stage"] == stage)
        ]
        write_whole(self.path, "".join(_as_line(line) for line in kept))

    def write(self, step: int, **values: float) -> None:
        """Appends one line; what is not finite, such as the mIoU where nothing is labeled, becomes null."""
        _append_line(self.path, {"stage": self.stage, "step": step, **values})


def read_metrics(workdir: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """The measurements of the run in a folder, line by line, each with its "stage" and "step".

    A line that is none is left out: with a warning, but for the last, which a kill may have broken off.
    """
    return _read_lines(place(workdir) / METRICS_FILE, ("stage", "step"))


def _read_lines(path, counts=()):
    """The objects of a file of JSON lines that have a whole number under each of the names `counts`."""
    if not path.exists():
        return
    lines = read_whole(path).split(b"\n")
    for number, text in enumerate(lines, start=1):
        problem = None
        try:
            line = parse_object(text.replace(b"NaN", b"null"))  # which earlier versions wrote
            if all(is_whole(line.get(name)) for name in counts):
                yield line
            else:
                problem = f"has no {' and '.join(map(repr, counts))}"
        except ValueError as error:
            problem = in_one_line(error)
        if problem and number < len(lines):
            LOG.warning("line %d of %s %s; it is left out", number, path, problem)


def went_past_a_checkpoint(workdir: str | os.PathLike, stage: int) -> bool:
    """Whether the log of a run says that a checkpoint of a stage was complete once.

    That is where it has an evaluation of the stage, which a checkpoint precedes, or anything of a later one.
    """
    return any(
        line["stage"] > stage or (line["stage"] == stage and any(name.startswith("eval/") for name in line))
        for line in read_metrics(workdir)
    )


def was_evaluated(workdir: str | os.PathLike, stage: int, step: int) -> bool:
    """Whether the evaluation after a step of a stage was logged to its end."""
    return any(
        (line["stage"], line["step"]) == (stage, step) and any(name.startswith("eval/") for name in line)
        for line in read_metrics(workdir)
    )


def _append_line(path, values):
    append(path, _as_line(values))


def _as_line(values):
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"
