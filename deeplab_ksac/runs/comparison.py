"""What workdirs say of their runs, and which row of which table of the thesis each belongs to."""

import dataclasses
import glob
import json
import pathlib
import statistics
from collections.abc import Mapping

from deeplab_ksac.experiment import Experiment, Row, Table, differences, from_dict, to_dict
from deeplab_ksac.experiments import EXPERIMENTS

CURVES = ("train/loss", "eval/miou")


@dataclasses.dataclass(frozen=True)
class Run:
    """One workdir.

    Attributes:
        workdir: its path.
        experiment: its whole configuration.
        evaluations: what its eval_*.json hold, each with "dataset", "split", "scales", "flip", "step" and "miou".
        curves: {quantity: ((step counted over all stages, value), …)} of `CURVES`, or of what else was asked for.
        steps: optimizer steps that were logged, over all stages.
    """

    workdir: str
    experiment: Experiment
    evaluations: tuple[Mapping, ...]
    curves: Mapping[str, tuple]
    steps: int

    @property
    def all_steps(self):
        """The steps of all stages."""
        return sum(stage.steps for stage in self.experiment.stages)

    def is_finished(self, evaluation):
        """Whether an evaluation is of the last step of the last stage."""
        stages = self.experiment.stages
        last = evaluation.get("stage", len(stages) - 1) == len(stages) - 1
        return last and evaluation["step"] == stages[-1].steps


def read_runs(patterns):
    """The runs in the workdirs that paths or patterns name, sorted by path.

    Raises:
        ValueError: a pattern without any run, or a file that is not what a run leaves; the message names it.
    """
    runs = {}
    for pattern in patterns:
        found = [path for path in sorted(glob.glob(pattern)) if pathlib.Path(path, "experiment.json").is_file()]
        if not found:
            raise ValueError(f"{pattern!r} names no workdir: there is no experiment.json in what it matches")
        runs.update((str(pathlib.Path(path)), read_run(path)) for path in found)
    return [runs[workdir] for workdir in sorted(runs)]


def read_run(workdir, quantities=CURVES):
    """The `Run` of a folder, with the curves of `quantities`.

    Raises:
        FileNotFoundError: the folder is no run's.
        ValueError: a file that cannot be read as a run's.
    """
    workdir = pathlib.Path(workdir)
    if not (workdir / "experiment.json").is_file():
        raise FileNotFoundError(f"{workdir} has no experiment.json: it is no folder of a training run")
    try:
        experiment = from_dict(Experiment, _json(workdir / "experiment.json"))
    except TypeError as error:
        raise ValueError(f"{workdir / 'experiment.json'}: {error}") from error
    evaluations = tuple(_evaluation(path) for path in sorted(workdir.glob("eval_*.json")))
    curves, steps = _curves(workdir / "metrics.jsonl", [stage.steps for stage in experiment.stages], quantities)
    return Run(str(workdir), experiment, evaluations, curves, steps)


def _json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def _evaluation(path):
    content = _json(path)
    missing = [key for key in ("dataset", "split", "step", "scales", "flip", "miou") if key not in content]
    if missing:
        raise ValueError(f"{path} is no evaluation: it has no {missing[0]!r}")
    return content


def _curves(path, lengths, quantities):
    """({name: points}, last step) of a metrics file; lines that are cut off are left out."""
    curves, last = {}, 0
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
            step = sum(lengths[: line["stage"]]) + line["step"]
        except (ValueError, KeyError, TypeError):
            continue
        last = max(last, step)
        for name in quantities:
            if isinstance(line.get(name), int | float):
                curves.setdefault(name, []).append((step, line[name]))
    return {name: tuple(points) for name, points in curves.items()}, last


@dataclasses.dataclass(frozen=True)
class Entry:
    """A number of the thesis and what stands beside it.

    Attributes:
        label, row: where the number stands.
        kind: "single scale", "MF", "GFLOPs" or "GFLOPs, training".
        thesis: the number, or None where the text has none.
        ours: percent, the mean where there are several runs; None where nothing was measured.
        spread: standard deviation of several runs, or None.
        state: in words, where ours comes from, or why there is none.
    """

    label: str
    row: Row
    kind: str
    thesis: float | None
    ours: float | None
    spread: float | None
    state: str


class Comparison:
    """Tables of the thesis beside runs: `entries` of each table, the runs that are no row's, and a summary."""

    def __init__(self, tables, runs):
        self.tables, self.runs = tuple(tables), tuple(runs)
        self.entries = {table.number: tuple(self._entries(table)) for table in self.tables}
        rows = [row for table in self.tables for row in table.rows.values() if row.experiment is not None]
        self.others = [run for run in self.runs if not any(_belongs(run, row) for row in rows)]
        numbers = [entry for entries in self.entries.values() for entry in entries if entry.row.experiment is not None]
        judged = [entry for entry in numbers if not entry.kind.startswith("GFLOPs")]
        measured = sum(entry.ours is not None for entry in judged)
        self.summary = f"{measured} of {len(judged)} mIoUs of our own rows measured, from {len(self.runs)} runs"

    def _entries(self, table: Table):
        for label, row in table.rows.items():
            kinds = [("GFLOPs", row.gflops), ("GFLOPs, training", row.gflops_training)]
            for kind, number in kinds:
                if number is not None:
                    yield Entry(label, row, kind, number, None, None, "counted by scripts/flops.py")
            multi_scale = row.experiment is not None and row.experiment.evaluation.views.flip
            if row.miou is not None or (not multi_scale and row.miou_ms_flip is None and row.gflops_training is None):
                yield self._judged(label, row, "single scale", row.miou)
            if row.miou_ms_flip is not None or multi_scale:
                yield self._judged(label, row, "MF", row.miou_ms_flip)

    def _judged(self, label, row, kind, thesis):
        if row.experiment is None:
            return Entry(label, row, kind, thesis, None, None, "quoted from another paper")
        own = [run for run in self.runs if _belongs(run, row)]
        found = [(run, e) for run in own for e in run.evaluations if _is_of(e, row, kind) and e["miou"] is not None]
        finished = [(run, e) for run, e in found if run.is_finished(e)]
        if finished:
            values = [100 * e["miou"] for _, e in finished]
            spread = statistics.stdev(values) if len(values) > 1 else None
            where = ", ".join(run.workdir for run, _ in finished)
            return Entry(label, row, kind, thesis, statistics.fmean(values), spread, f"measured: {where}")
        if found:
            run, e = found[-1]
            words = f"unfinished, {100 * e['miou']:.2f} after step {e['step']:,} of a stage: {run.workdir}"
        elif own:
            words = f"trained {own[-1].steps:,} of {own[-1].all_steps:,} steps, not evaluated so: {own[-1].workdir}"
        else:
            words = "not run"
        return Entry(label, row, kind, thesis, None, None, words)


def _belongs(run, row):
    """Whether a run is a row's training; any seed is where the row is a mean over repeated runs."""
    if row.experiment is None:
        return False
    ours, theirs = run.experiment, row.experiment
    seeds = row.deviation is not None or ours.seed == theirs.seed
    return seeds and (ours.model, ours.stages, ours.losses) == (theirs.model, theirs.stages, theirs.losses)


def _is_of(evaluation, row, kind):
    """Whether an evaluation is on the row's pictures, and single-scale or MF."""
    if f"{evaluation['dataset']}/{evaluation['split']}" != row.experiment.evaluation.dataset:
        return False
    single = [float(scale) for scale in evaluation["scales"]] == [1.0] and not evaluation["flip"]
    mixed = len(evaluation["scales"]) > 1 and evaluation["flip"]
    return bool(single if kind == "single scale" else mixed)


def overridden(run):
    """Lines "field: the experiment's -> the run's" for a run that bears the name of an experiment."""
    named = EXPERIMENTS.get(run.experiment.name)
    if named is None:
        return ["no experiment of that name"]
    return differences(*(json.loads(json.dumps(to_dict(value))) for value in (named, run.experiment)))
