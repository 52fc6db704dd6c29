"""Tries the thesis's claims on generated scenes made for them: several seeds, mean and spread.

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
import tempfile
from pathlib import Path

from absl import flags

from deeplab_ksac.datasets import source
from deeplab_ksac.datasets.sources.scenes_studies import STUDIES
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import write_whole

FLAGS = flags.FLAGS
SIZE = (129, 161)
COUNTS = {"train": 800}
OTHER_COUNT = 200
THINGS = tuple(source("scenes").THINGS)
COST = "cost.json"  # in the folder of a finished training


def define_flags():
    """What is tried, and where."""
    flags.DEFINE_string("workdir", None, "folder for data, runs and results", required=True)
    flags.DEFINE_list("studies", sorted(STUDIES), "which studies")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "one training per variant and seed")
    flags.DEFINE_integer("jobs", os.cpu_count(), "trainings at a time, each with one thread", lower_bound=1)
    flags.DEFINE_integer("steps", None, "optimizer steps, where other than the experiments'", lower_bound=1)


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
    write_whole(workdir / "study.json", (json.dumps(results, indent=1) + "\n").encode())
    text = "\n\n".join(table(study, rows) for study, rows in results.items())
    write_whole(workdir / "study.md", (text + "\n").encode())
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
    from deeplab_ksac.datasets.info import dataset_dir
    from deeplab_ksac.datasets.records import write_records

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
    if not (folder / COST).exists():
        fresh, steps = not folder.exists(), [f"--config.stages[0].steps={FLAGS.steps}"] if FLAGS.steps else []
        seconds = call("train", f"--config={name}", f"--config.seed={seed}", f"--workdir={folder}",
                       f"--data_dir={data}", "--deterministic", *steps)  # fmt: skip
        # what an interrupted training took before is not known
        write_whole(folder / COST, json.dumps({"processor_seconds": seconds if fresh else None}).encode())
    for split in unseen_splits(study):
        if not (folder / f"eval_scenes_{study}_{split}.json").exists():
            call("evaluate", f"--workdir={folder}", f"--data_dir={data}", f"--dataset=scenes_{study}/{split}")


def call(script, *arguments):
    """Runs a script of this package with one thread; the seconds of processor time that it took.

    Raises:
        OSError: it failed; the message is the last line that it wrote.
    """
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"deeplab_ksac.scripts.{script}", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            message = last_line(said.read())
            raise OSError(f"{script} {' '.join(arguments)} ended with {process.returncode}: {message}")
    return usage.ru_utime + usage.ru_stime


def last_line(text):
    """The last line of a text that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing was said")


def collect(study, workdir):
    """{variant: {"iou": {split: [mean IoU of the things in percent]}, "processor_seconds", "parameters"}}.

    One number for each seed; the seconds only of trainings that were not interrupted.
    """
    rows = {}
    for name in variants(study):
        folders = [run_dir(workdir, name, seed) for seed in FLAGS.seeds]
        seconds = [json.loads((folder / COST).read_text())["processor_seconds"] for folder in folders]
        rows[name.removeprefix(f"claim_{study}_")] = {
            "iou": {
                split: [things_iou(folder / f"eval_scenes_{study}_{split}.json") for folder in folders]
                for split in unseen_splits(study)
            },
            "processor_seconds": [value for value in seconds if value is not None],
            "parameters": parameters(name),
        }
    return rows


def parameters(name):
    """How many numbers a variant's model has, at inference and in training alike."""
    from deeplab_ksac.experiments.claims import CLAIMS
    from deeplab_ksac.model import build_model

    return build_model(CLAIMS[name].model, source("scenes").INFO.num_classes).count_params()


def things_iou(path):
    """Mean IoU, in percent, of the classes that are things, from an evaluation's JSON."""
    result = json.loads(path.read_text())
    by_class = dict(zip(result["class_names"], result["iou"]))
    return 100 * statistics.mean(by_class[name] for name in THINGS if by_class[name] is not None)


def table(study, rows):
    """Mean ± standard deviation over the seeds, parameters and processor time of a training, as Markdown."""
    heads = [study, *unseen_splits(study), "parameters", "processor minutes"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        minutes = [seconds / 60 for seconds in row["processor_seconds"]]
        cells = [name.replace("_", ", "), *map(mean_and_deviation, row["iou"].values())]
        cells += [f"{row['parameters']:,}", mean_and_deviation(minutes) if minutes else "—"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_and_deviation(values):
    """'12.0 ± 2.0', the deviation that of a sample."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}"


if __name__ == "__main__":
    start("study", define_flags, lambda given: run())
