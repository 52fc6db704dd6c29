"""Tries the thesis's claims on generated scenes made for them: several seeds, mean and spread.

    python scripts/study.py --workdir=runs/study
    python scripts/study.py --workdir=runs/study --studies=combinations --seeds=0,1,2

A study compares variants of one experiment (`deeplab_ksac/experiments/claims.py`) on pictures that follow other rules
than those of training (`datasets/sources/scenes_studies.py`). What was trained or evaluated before is not done again.
Leaves <workdir>/study.json and study.md.
"""

import os

from absl import flags

from deeplab_ksac.experiment import LARGEST_SEED
from deeplab_ksac.experiments.claims import STUDIES
from deeplab_ksac.scripts.commandline import values
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress


def define_flags():
    """What is tried, and where."""
    flags.DEFINE_string("workdir", None, "folder for data, runs and results", required=True)
    flags.DEFINE_list("studies", sorted(STUDIES), "which studies")
    values.whole_numbers("seeds", "0,1,2", "one training per variant and seed", most=LARGEST_SEED)
    values.whole_number("jobs", os.cpu_count(), "trainings at a time, each with one thread", least=1, most=1024)
    values.whole_number("steps", None, "optimizer steps (default: the experiments')", least=1)


def run(given):
    """Data, trainings and evaluations, table."""
    from deeplab_ksac.runs import study

    results = study.run_studies(
        given.studies,
        given.workdir,
        seeds=given.seeds,
        steps=given.steps,
        jobs=given.jobs,
        progress=Progress,
    )
    print(study.as_markdown(results))
    return 0


if __name__ == "__main__":
    start("study", define_flags, run)
