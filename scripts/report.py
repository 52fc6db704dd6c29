"""Sets what was measured beside the thesis's numbers: all tables, with learning curves.

    python scripts/report.py --runs='runs/*' --output=report

Reads what `scripts/train.py` and `scripts/evaluate.py` leave in workdirs (experiment.json, metrics.jsonl, eval_*.json).
A run belongs to a row where its model, stages, losses and seed are the row's; a run of which anything was overridden is
listed apart, with what differs.
"""

import pathlib

from absl import flags

from deeplab_ksac.figures import learning_curves as curves
from deeplab_ksac.runs import pages
from deeplab_ksac.runs.comparison import Comparison, read_runs
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.whole_files import write_whole


def define_flags():
    """Which runs, and where the report goes."""
    flags.DEFINE_list("runs", None, "workdirs, as paths or patterns such as 'runs/*'; none is a report of what is open")
    flags.DEFINE_list("tables", None, "numbers of the tables (default: all)")
    flags.DEFINE_string("output", None, "folder for report.md, report.html and the curves", required=True)


def run(given):
    """Reads the runs and writes the files.

    Raises:
        ValueError: a table that there is not, a pattern without a run, or a file that is no run's.
    """
    from deeplab_ksac.experiments import TABLES

    unknown = [number for number in given.tables or () if number not in TABLES]
    if unknown:
        raise ValueError(f"there is no Table {unknown[0]}; the thesis has {', '.join(TABLES)}")
    runs = read_runs(given.runs or ())
    compared = Comparison([TABLES[number] for number in given.tables or TABLES], runs)
    folder = pathlib.Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {run.workdir: curves.svg(run) for run in runs if run.curves}
    files = {}
    for index, (workdir, picture) in enumerate(drawn.items()):
        files[workdir] = f"curve_{index:03}_{pathlib.Path(workdir).name}.svg"
        write_whole(folder / files[workdir], picture.encode())
    write_whole(folder / "report.md", pages.markdown(compared, files).encode())
    write_whole(folder / "report.html", pages.html(compared, drawn).encode())
    print(f"{compared.summary}: {folder / 'report.md'}, {folder / 'report.html'}")
    return 0


if __name__ == "__main__":
    start("report", define_flags, run)
