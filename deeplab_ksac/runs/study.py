"""Studies of the thesis's claims: variants of one network, trained on generated scenes made for one claim each.

A study (`experiments.claims.STUDIES`) compares variants on pictures that follow other rules than those of training
(`datasets.sources.scenes_studies`), with several seeds. Every training and every evaluation is a process of its own.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeplab_ksac.arguments import check_distinct
from deeplab_ksac.datasets.info import dataset_dir
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.datasets.sources import scenes, scenes_studies
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import Experiment, to_dict
from deeplab_ksac.experiments.claims import STUDIES
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.json_files import check_fields, is_number, read_object
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.history import read_evaluation, read_run
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment
from deeplab_ksac.storage import local
from deeplab_ksac.whole_files import remove_partial, write_whole

SIZE = (129, 161)  # pixels
COUNTS = {"train": 800}
OTHER_COUNT = 200
COST = "cost.json"  # in the folder of a finished training
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run_studies(
    studies: Sequence[str],
    workdir: str | os.PathLike,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int | None = None,
    jobs: int | None = None,
    progress: Callable[[int, str], Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Makes the data, trains and evaluates what was not yet, and writes study.json and study.md into the folder.

    Args:
        studies: keys of `STUDIES`.
        workdir: folder for data, runs and results.
        seeds: one training for each variant and seed.
        steps: optimizer steps (default: the experiments').
        jobs: trainings at a time, each with one thread (default: as many as there are cores).
        progress: (total, label) -> an object with `update()` and `close()`.

    Returns:
        {study: what `collect` gives}.

    Raises:
        ValueError: there is no such study; a study or a seed is given twice; or the folder holds runs of other steps or
            another configuration.
        OSError: a training or an evaluation failed; the message has the last line that it wrote.
    """
    unknown = sorted(set(studies) - set(STUDIES))
    if unknown:
        raise ValueError(f"unknown study {unknown[0]!r}; the studies are {', '.join(sorted(STUDIES))}")
    check_distinct(studies=studies, seeds=seeds)
    workdir = local(workdir, "the folder of a study")
    trials = [trial for study in studies for trial in trials_of(study, workdir, seeds, steps)]
    for trial in trials:
        trial.check()
    remove_partial(workdir, ["study.json", "study.md"])
    for study in studies:
        prepare_data(study, workdir)
    with contextlib.ExitStack() as ended:
        shown = progress and ended.enter_context(contextlib.closing(progress(len(trials), "study")))
        pool = ended.enter_context(concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()))
        ended.callback(pool.shutdown, wait=False, cancel_futures=True)  # after an error nothing more is begun
        for future in concurrent.futures.as_completed([pool.submit(trial.run) for trial in trials]):
            future.result()
            if shown:
                shown.update()
    results = {study: collect([trial for trial in trials if trial.study == study]) for study in studies}
    write_whole(workdir / "study.json", json.dumps(results, indent=1) + "\n")
    write_whole(workdir / "study.md", as_markdown(results) + "\n")
    return results


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a study.

    Attributes:
        study, variant: keys of `STUDIES` and of the study.
        experiment: what is trained, with its seed and steps.
        workdir: the study's folder.
    """

    study: str
    variant: str
    experiment: Experiment
    workdir: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        """The folder of the run."""
        return self.workdir / "runs" / f"{self.experiment.name}_seed{self.experiment.seed}"

    def check(self) -> None:
        """Raises ValueError if the folder holds a run of another configuration, such as one of other steps."""
        if not (self.folder / EXPERIMENT_FILE).exists():
            return
        changed = differences(to_dict(read_experiment(self.folder)), to_dict(self.experiment))
        if changed:
            raise ValueError(
                f"{self.folder} holds another run than this study's: {'; '.join(changed)}; take another workdir, or "
                "remove that folder"
            )

    def run(self) -> None:
        """Trains and evaluates on every split of the study but that of training, what was not done before."""
        data, fresh = f"--data_dir={self.workdir / 'data'}", not self.folder.exists()
        if not (self.folder / COST).exists():
            name, seed = self.experiment.name, self.experiment.seed
            steps = f"--config.stages[0].steps={self.experiment.stages[0].steps}"
            where = f"--workdir={self.folder}"
            seconds = call("train", f"--config={name}", f"--config.seed={seed}", steps, where, data, "--deterministic")
            # what an interrupted training took before is not known
            remove_partial(self.folder, [COST])
            write_whole(self.folder / COST, json.dumps({"processor_seconds": seconds if fresh else None}))
        for split in evaluated_splits(self.study):
            if self.evaluation(split) is None:
                call("evaluate", f"--workdir={self.folder}", data, f"--dataset={split}")

    def evaluation(self, split: Split) -> Mapping[str, Any] | None:
        """The evaluation of the trained model on a split; None where there is none yet."""
        path = self.folder / f"eval_{split.dataset}_{split.name}.json"
        found = read_evaluation(path) if path.exists() else None
        return found if found is not None and read_run(self.folder).is_finished(found) else None

    def processor_seconds(self) -> float | None:
        """What the training took; None if it was interrupted."""
        content = read_object(self.folder / COST)
        check_fields(self.folder / COST, content, {"processor_seconds": ("a number or null", _is_known_or_not)}, {})
        return content["processor_seconds"]


def _is_known_or_not(seconds):
    return seconds is None or is_number(seconds)


def trials_of(study: str, workdir: str | os.PathLike, seeds: Sequence[int], steps: int | None = None) -> list[Trial]:
    """Every variant of a study with every seed."""
    return [
        Trial(
            study,
            variant,
            dataclasses.replace(experiment if steps is None else with_stage(experiment, steps=steps), seed=seed),
            pathlib.Path(workdir),
        )
        for variant, experiment in STUDIES[study].items()
        for seed in seeds
    ]


def evaluated_splits(study: str) -> list[Split]:
    """The splits that a study is evaluated on: all but that of training."""
    return [Split(f"scenes_{study}", split) for split in scenes_studies.STUDIES[study] if split != "train"]


def prepare_data(study: str, workdir: str | os.PathLike) -> None:
    """Paints and converts the study's splits, where they are not there yet."""
    workdir, name = pathlib.Path(workdir), f"scenes_{study}"
    raw, data = workdir / "raw" / study, workdir / "data"
    if dataset_dir(name, data).is_dir():
        return
    rules = scenes_studies.STUDIES[study]
    if not scenes.find_splits(raw):
        counts = {split: COUNTS.get(split, OTHER_COUNT) for split in rules}
        scenes.generate(raw, counts=counts, size=SIZE, grammar=rules)
    write_records("scenes", raw, data, dataset_name=name)


def call(command: str, *arguments: str) -> float:
    """Runs a command of this package with one thread; the seconds of processor time that it took.

    Raises:
        OSError: it failed; the message has the last line that it wrote.
    """
    words = [sys.executable, "-m", f"deeplab_ksac.scripts.{command}", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, env={**os.environ, **ONE_THREAD}, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            lines = [line for line in said.read().splitlines() if line.strip()] or ["nothing was said"]
            raise OSError(f"{command} {' '.join(arguments)} ended with {process.returncode}: {lines[-1]}")
    return usage.ru_utime + usage.ru_stime


def collect(trials: Sequence[Trial]) -> dict[str, Any]:
    """{variant: {"iou": {split: [mean IoU of the things in percent]}, "processor_seconds", "parameters"}}.

    One number for each seed; the seconds only of trainings that were not interrupted.
    """
    rows = {}
    for variant in dict.fromkeys(trial.variant for trial in trials):
        own = [trial for trial in trials if trial.variant == variant]
        seconds = [trial.processor_seconds() for trial in own]
        rows[variant] = {
            "iou": {
                split.name: [things_iou(trial.evaluation(split)) for trial in own]
                for split in evaluated_splits(own[0].study)
            },
            "processor_seconds": [value for value in seconds if value is not None],
            "parameters": parameters(own[0].experiment),
        }
    return rows


def parameters(experiment: Experiment) -> int:
    """How many numbers a variant's model has, at inference and in training alike."""
    return build_model(experiment.model, scenes.INFO.num_classes).count_params()


def things_iou(evaluation: Mapping[str, Any]) -> float:
    """Mean IoU, in percent, of the classes of an evaluation that are things and occur.

    Raises:
        ValueError: the evaluation is of other classes.
    """
    by_class = dict(zip(evaluation.get("class_names", ()), evaluation.get("iou", ()), strict=False))
    missing = [name for name in scenes.THINGS if name not in by_class]
    if missing or not any(by_class[name] is not None for name in scenes.THINGS):
        where = f"{evaluation['dataset']}/{evaluation['split']}"
        raise ValueError(
            f"the evaluation on {where} has no IoU of {', '.join(missing or scenes.THINGS)}; remove its file"
        )
    return 100 * statistics.mean(by_class[name] for name in scenes.THINGS if by_class[name] is not None)


def as_markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results of `run_studies` as tables."""
    return "\n\n".join(table(study, rows) for study, rows in results.items())


def table(study: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean ± standard deviation over the seeds, parameters and processor time of a training, as Markdown."""
    heads = [study, *(split.name for split in evaluated_splits(study)), "parameters", "processor minutes"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        minutes = [seconds / 60 for seconds in row["processor_seconds"]]
        cells = [name.replace("_", ", "), *map(mean_and_deviation, row["iou"].values())]
        cells += [f"{row['parameters']:,}", mean_and_deviation(minutes) if minutes else "—"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_and_deviation(values: Sequence[float]) -> str:
    """'12.0 ± 2.0', the deviation that of a sample."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}"
