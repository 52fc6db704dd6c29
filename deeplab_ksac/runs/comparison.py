"""The thesis's tables beside runs: which row of which table a run belongs to, and which of its evaluations counts.

A run belongs to a row where model, stages, losses and seed are the row's. Two things may differ: `steps_per_call`,
which changes no result, and the arguments of the backbone that published weights determine (`--backbone_weights`). A
row that is a mean over repeated runs takes any seed.

Of a run's evaluations one counts for a number of the row: that with the row's own `EvalSpec`, its data set, split,
scales, flip, window and padding. A single-scale number beside a number with multi-scale and flip ("MF") differs from it
in scales and flip alone.
"""

import dataclasses
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deeplab_ksac.backbones.pretrained import weight_argument_names
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import EvalSpec, Experiment, ModelSpec, Part, Row, Table, to_dict
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.experiments.common import multi_scale, single_scale, with_stage
from deeplab_ksac.runs.history import Run

SINGLE_SCALE, MULTI_SCALE = MIOU_KINDS = ("single scale", "MF")
UNSAID = {  # of an evaluation whose file does not say it
    "window": None,
    "pad_to": None,
    "average": "logits",
    "precision": "float32",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A number of the thesis and ours.

    Attributes:
        label, row: where the number is.
        kind: "single scale", "MF", "GFLOPs" or "GFLOPs, training".
        thesis: the number, or None where the text has none.
        ours: percent, the mean where there are several runs; None where nothing was measured.
        spread: standard deviation of several runs, or None.
        state: where ours comes from, or why there is none, as text.
    """

    label: str
    row: Row
    kind: str
    thesis: float | None
    ours: float | None
    spread: float | None
    state: str


class Comparison:
    """Tables of the thesis beside runs.

    Attributes:
        tables, runs: what is compared.
        entries: {number of a table: its `Entry`s}.
        others: the runs that belong to no row of these tables.
        summary: how much was measured, in a line.
    """

    def __init__(self, tables: Iterable[Table], runs: Iterable[Run]):
        self.tables, self.runs = tuple(tables), tuple(runs)
        self.entries = {table.number: tuple(self._entries(table)) for table in self.tables}
        rows = [row for table in self.tables for row in table.rows.values()]
        self.others = tuple(run for run in self.runs if not any(belongs(run, row) for row in rows))
        numbers = [entry for entries in self.entries.values() for entry in entries]
        open_ones = [entry for entry in numbers if entry.kind in MIOU_KINDS and entry.row.experiment is not None]
        measured = sum(entry.ours is not None for entry in open_ones)
        self.summary = f"{measured} of {len(open_ones)} mIoUs of runnable rows measured, from {len(self.runs)} runs"

    def _entries(self, table) -> Iterator[Entry]:
        for label, row in table.rows.items():
            for kind, number in (("GFLOPs", row.gflops), ("GFLOPs, training", row.gflops_training)):
                if number is not None:
                    yield Entry(label, row, kind, number, None, None, "counted by `ksac flops`")
            mixed = row.experiment is not None and row.experiment.evaluation.views.flip
            if row.miou is not None or (not mixed and row.miou_ms_flip is None and row.gflops_training is None):
                yield self._entry(label, row, SINGLE_SCALE, row.miou)
            if row.miou_ms_flip is not None or mixed:
                yield self._entry(label, row, MULTI_SCALE, row.miou_ms_flip)

    def _entry(self, label, row, kind, thesis):
        if row.experiment is None:
            return Entry(label, row, kind, thesis, None, None, "quoted from another paper")
        own = [run for run in self.runs if belongs(run, row)]
        spec = evaluation_of(row, kind)
        found = [(run, evaluation) for run in own if (evaluation := evaluation_with(run, spec)) is not None]
        finished = [(run, evaluation) for run, evaluation in found if run.is_finished(evaluation)]
        if finished:
            values = [100 * evaluation["miou"] for _, evaluation in finished]
            spread = statistics.stdev(values) if len(values) > 1 else None
            where = ", ".join(run.workdir + _weights_in_words(run, row) for run, _ in finished)
            return Entry(label, row, kind, thesis, statistics.fmean(values), spread, f"measured: {where}")
        if found:
            run, evaluation = found[-1]
            reached = f"{100 * evaluation['miou']:.2f} after step {evaluation['step']:,} of a stage"
            begin = "unfinished" if run.steps < run.all_steps else "not of the last step"
            words = f"{begin}, {reached}: {run.workdir}"
        elif own:
            words = f"trained {own[-1].steps:,} of {own[-1].all_steps:,} steps, not evaluated so: {own[-1].workdir}"
        else:
            words = "not run"
        return Entry(label, row, kind, thesis, None, None, words)


def belongs(run: Run, row: Row) -> bool:
    """Whether a run is a row's training, by the rule at the top of this module."""
    if row.experiment is None:
        return False
    ours, theirs = run.experiment, row.experiment
    seeds = row.deviation is not None or ours.seed == theirs.seed
    training = (_stages(ours), ours.losses) == (_stages(theirs), theirs.losses)
    return seeds and training and weights_brought(ours.model, theirs.model) is not None


def weights_brought(model: ModelSpec, own: ModelSpec) -> dict[str, Any] | None:
    """The arguments of its backbone that a model has from published weights, where it is `own` apart from them.

    {} where the models are equal, None where they differ in anything else.
    """
    given = own.backbone.args
    brought = {name: value for name, value in model.backbone.args.items() if name not in given}
    rest = {name: value for name, value in model.backbone.args.items() if name in given}
    if dataclasses.replace(model, backbone=Part(model.backbone.name, rest)) != own:
        return None
    possible = [set(names) - set(given) for names in weight_argument_names(own.backbone.name)]
    return brought if not brought or set(brought) in possible else None


def evaluation_of(row: Row, kind: str) -> EvalSpec:
    """How a row's number of that kind, of `MIOU_KINDS`, is measured: the row's own `EvalSpec`, or its other kind."""
    if kind == SINGLE_SCALE:
        return single_scale(row.experiment).evaluation
    spec = row.experiment.evaluation
    return spec if spec.views.flip else multi_scale(row.experiment).evaluation


def evaluation_with(run: Run, spec: EvalSpec) -> Mapping[str, Any] | None:
    """The evaluation of a run that was made as `spec` says and has a mIoU, of several the latest; None without one."""
    wanted = to_dict(spec.views)
    found = [
        evaluation
        for evaluation in run.evaluations
        if f"{evaluation['dataset']}/{evaluation['split']}" == spec.dataset and evaluation["miou"] is not None
        if all({**UNSAID, **evaluation}[name] == {**UNSAID, **wanted}[name] for name in ("scales", "flip", *UNSAID))
    ]
    return max(found, key=lambda evaluation: (evaluation.get("stage", 0), evaluation["step"]), default=None)


def overridden(run: Run) -> list[str]:
    """Lines "field: the experiment's -> the run's" for a run that bears the name of an experiment."""
    named = EXPERIMENTS.get(run.experiment.name)
    if named is None:
        return ["no experiment of that name"]
    return differences(*(json.loads(json.dumps(to_dict(value))) for value in (named, run.experiment)))


def _stages(experiment: Experiment):
    return with_stage(experiment, steps_per_call=1).stages


def _weights_in_words(run, row):
    brought = weights_brought(run.experiment.model, row.experiment.model)
    return f" (weights: {', '.join(f'{name}={value!r}' for name, value in brought.items())})" if brought else ""
