"""Tries the thesis's claims on splits of the generated scenes made for them: several seeds, mean and spread.

    python scripts/study.py --workdir=runs/study
    python scripts/study.py --workdir=runs/study --studies=combinations --seeds=0,1,2

A study compares variants of one experiment (`deeplab_ksac/experiments/claims.py`) on pictures that follow other rules
than those of training (`datasets/sources/scenes_studies.py`). What was trained or evaluated before is not done again.
Leaves <workdir>/study.json and study.md.
"""

import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from absl import app, flags

from scripts import ROOT
from scripts.output import exit_status, write_atomically
from scripts.progress import Progress
from datasets import source
from datasets.sources.scenes_studies import STUDIES

FLAGS = flags.FLAGS
SIZE = (129, 161)
COUNTS = {"train": 800}
OTHER_COUNT = 200
THINGS = tuple(source("scenes").THINGS)


def define_flags():
    """What is tried, and where."""
    flags.DEFINE_string("workdir", None, "folder for data, runs and results", required=True)
    flags.DEFINE_list("studies", sorted(STUDIES), "which studies")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "one training per variant and seed")
    flags.DEFINE_integer("jobs", os.cpu_count(), "trainings at a time, each with one thread", lower_bound=1)
    flags.DEFINE_integer("steps", None, "optimizer steps, where other than the experiments'", lower_bound=1)


def main(argv):
    """Runs the studies that the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(run, name="study")


def run():
    """Data, trainings and evaluations, table."""
    unknown = sorted(set(FLAGS.studies) - set(STUDIES))
    if unknown:
        raise ValueError(f"there is no study {unknown[0]!r}; there are {', '.join(sorted(STUDIES))}")
    workdir = Path(FLAGS.workdir)
    for study in FLAGS.studies:
        prepare_data(study, workdir)
    tasks = [(name, seed) for study in FLAGS.studies for name in variants(study) for seed in FLAGS.seeds]
    with Progress(len(tasks), "study") as progress, concurrent.futures.ThreadPoolExecutor(FLAGS.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(try_once, workdir, *task) for task in tasks]):
            future.result()
            progress.update()
    results = {study: collect(study, workdir) for study in FLAGS.studies}
    write_atomically(workdir / "study.json", (json.dumps(results, indent=1) + "\n").encode())
    text = "\n\n".join(table(study, rows) for study, rows in results.items())
    write_atomically(workdir / "study.md", (text + "\n").encode())
    print(text)
    return 0


def variants(study):
    """The names of the experiments that a study compares."""
    from deeplab_ksac.experiments.claims import CLAIMS

    return [name for name in CLAIMS if name.startswith(f"claim_{study}_")]


def unseen_splits(study):
    """The splits that a study is evaluated on."""
    return [split for split in STUDIES[study] if split != "train"]


def prepare_data(study, workdir):
    """Paints and converts the study's splits, where they are not there yet."""
    from datasets.info import dataset_dir
    from datasets.records import write_records

    name, raw = f"scenes_{study}", workdir / "raw" / study
    if dataset_dir(name, workdir / "data").is_dir():
        return
    scenes, rules = source("scenes"), STUDIES[study]
    if not scenes.find_splits(raw):
        counts = {split: COUNTS.get(split, OTHER_COUNT) for split in rules}
        scenes.generate(raw, counts=counts, size=SIZE, grammar=rules)
    write_records("scenes", raw, workdir / "data", dataset_name=name)


def run_dir(workdir, name, seed):
    """The folder of one training."""
    return workdir / "runs" / f"{name}_seed{seed}"


def try_once(workdir, name, seed):
    """Trains one variant with one seed and evaluates it on every split of its study."""
    study = name.split("_")[1]
    folder, data = run_dir(workdir, name, seed), workdir / "data"
    steps = [f"--config.stages[0].steps={FLAGS.steps}"] if FLAGS.steps else []
    call("train", f"--config={name}", f"--config.seed={seed}", f"--workdir={folder}", f"--data_dir={data}",
         "--deterministic", *steps)  # fmt: skip
    for split in unseen_splits(study):
        if not (folder / f"eval_scenes_{study}_{split}.json").exists():
            call("evaluate", f"--workdir={folder}", f"--data_dir={data}", f"--dataset=scenes_{study}/{split}")


def call(script, *arguments):
    """Runs a script of this package with one thread.

    Raises:
        OSError: it failed; the message is the last line that it wrote.
    """
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.{script}", *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise OSError(f"{script} {' '.join(arguments)} ended with {done.returncode}: {last_line(done.stderr)}")


def last_line(text):
    """The last line of a text that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing was said")


def collect(study, workdir):
    """{variant: {split: [mean IoU of the things, of each seed]}}, in percent."""
    rows = {}
    for name in variants(study):
        rows[name.removeprefix(f"claim_{study}_")] = {
            split: [
                things_iou(run_dir(workdir, name, seed) / f"eval_scenes_{study}_{split}.json") for seed in FLAGS.seeds
            ]
            for split in unseen_splits(study)
        }
    return rows


def things_iou(path):
    """Mean IoU, in percent, of the classes that are things, from an evaluation's JSON."""
    result = json.loads(path.read_text())
    by_class = dict(zip(result["class_names"], result["iou"]))
    return 100 * statistics.mean(by_class[name] for name in THINGS if by_class[name] is not None)


def table(study, rows):
    """Mean ± standard deviation over the seeds, as Markdown."""
    splits = unseen_splits(study)
    lines = [f"| {study} | {' | '.join(splits)} |", "|---" * (len(splits) + 1) + "|"]
    for name, by_split in rows.items():
        cells = [
            f"{statistics.mean(v):.1f} ± {statistics.stdev(v) if len(v) > 1 else 0:.1f}" for v in by_split.values()
        ]
        lines.append(f"| {name.replace('_', ', ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    app.run(main)
