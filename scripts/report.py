"""Sets what was measured beside the thesis's numbers: all tables, with learning curves.

    python scripts/report.py --runs='runs/*' --output=report

Reads what `scripts/train.py` and `scripts/evaluate.py` leave in workdirs (experiment.json, metrics.jsonl, eval_*.json).
A run belongs to a row where its model, stages, losses and seed are the row's, its backbone apart from what published
weights determine; each run counts once, by the evaluation that has the row's own scales, flip, window and padding. A
run of which anything else was overridden is listed apart, with what differs.
"""

from absl import flags

from deeplab_ksac.scripts.commandline.entry import start


def define_flags():
    """Which runs, and where the report goes."""
    flags.DEFINE_list("runs", None, "workdirs, as paths or patterns such as 'runs/*'; without any, only what is open")
    flags.DEFINE_list("tables", None, "numbers of the tables (default: all)")
    flags.DEFINE_string("output", None, "folder for report.md, report.html and the curves", required=True)


def run(given):
    """Reads the runs and writes the files.

    Raises:
        ValueError: a table that there is not, a pattern without a run, or a file that is no run's.
    """
    from deeplab_ksac.experiments import TABLES
    from deeplab_ksac.runs.comparison import Comparison
    from deeplab_ksac.runs.history import read_runs
    from deeplab_ksac.runs.report import write_report

    unknown = [number for number in given.tables or () if number not in TABLES]
    if unknown:
        raise ValueError(f"the thesis has no Table {unknown[0]}; it has {', '.join(TABLES)}")
    compared = Comparison([TABLES[number] for number in given.tables or TABLES], read_runs(given.runs or ()))
    print(f"{compared.summary}: {', '.join(map(str, write_report(compared, given.output)))}")
    return 0


if __name__ == "__main__":
    start("report", define_flags, run)
