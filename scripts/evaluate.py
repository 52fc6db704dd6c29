"""Evaluates a trained model on a split of a data set: mIoU, per-class table, boundaries, pictures.

    python scripts/evaluate.py --workdir=runs/scenes --data_dir=data
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --scales=0.5,0.75,1,1.25,1.5,1.75 --flip
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --checkpoint=best
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --watch --timeout=7200

Writes `eval_<name>_<split>[_ms][_flip][_window<height>x<width>]….json`, and of the same name `.csv`, `_confusion.png`
and `.png` (image | truth | prediction), into the workdir or --output_dir. --watch evaluates checkpoint after checkpoint
of a run that is under way, appends a line for each to `….jsonl`, and ends after the run's last, or when none has come
for --timeout.
"""

import functools
import sys

from absl import flags

from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.runs.places import NEWEST
from deeplab_ksac.scripts.commandline import devices, model, values, views
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import check_writable, remove_partial, write_whole


def define_flags():
    """Where the model and the data are, which split, and how it is evaluated."""
    model.define_flags()
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets", required=True)
    flags.DEFINE_string("dataset", None, "name/split, such as camvid/test (default: the experiment's)")
    flags.DEFINE_string("output_dir", None, "folder for the results (default: that of the training run)")
    views.define_flags()
    values.number(
        "boundary", None, "tolerance of the boundary F-score: share of the diagonal, or pixels if ≥ 1", "(0, inf)"
    )
    values.whole_number("batch_size", 1, "images at a time", least=1)
    devices.define_flags()
    model.define_precision()
    values.whole_number("sheet", 4, "images on the picture sheet; 0 for none")
    flags.DEFINE_bool("watch", False, "follow the run and evaluate each new checkpoint")
    values.number("timeout", 3600.0, "seconds without a new checkpoint after which --watch ends", "[0, inf]")
    values.number("interval", 10.0, "seconds between two checks of --watch", "[0.01, 86400]")


def run(given):
    """Evaluates the model as `given` by flags: one checkpoint, or with --watch all that come."""
    split = None if given.dataset is None else split_of(given.dataset)
    if given.watch and given.checkpoint != NEWEST:
        raise ValueError("--watch evaluates every new checkpoint; it cannot be given a --checkpoint")
    place = model.place(given)
    if given.watch and not place.is_run:
        raise ValueError(f"--watch evaluates the checkpoints of a training run; {place.source} is a saved model")
    folder = model.output_dir(given, place)

    from deeplab_ksac.models.loading import load
    from deeplab_ksac.runs.evaluation import RunEvaluation, follow_run

    def begin(loaded):
        return RunEvaluation(
            loaded,
            data_dir=given.data_dir,
            split=split,
            views=views.chosen(loaded.experiment.evaluation.views, given),
            boundary_tolerance=given.boundary,
            batch_size=given.batch_size,
            precision=given.precision,
        )

    computing = devices.prepare(given)
    if folder.is_dir() or given.output_dir:  # with --watch the run may be yet to begin
        check_writable(folder)
        remove_partial(folder)
    if not given.watch:
        evaluate(begin(load(place, checkpoint=given.checkpoint)), given, folder, computing)
        return 0
    count = 0
    tell = functools.partial(print, file=sys.stderr)
    for evaluation in follow_run(place.folder, begin, timeout=given.timeout, interval=given.interval, tell=tell):
        evaluate(evaluation, given, folder, computing).append_line(folder)
        count += 1
    print(f"evaluated {count} checkpoints", file=sys.stderr)
    return 0


def split_of(text):
    """The split that --dataset names.

    Raises:
        ValueError: the text is not of the form name/split.
    """
    try:
        return Split.parse(text)
    except ValueError:
        raise ValueError(f"--dataset must be name/split, such as camvid/test, not {text!r}") from None


def evaluate(evaluation, given, folder, computing):
    """Evaluates, prints the table and writes the files into the folder; the result."""
    how = f"{evaluation.views.describe()}, {evaluation.precision}, on {computing}"
    print(f"checkpoint at step {evaluation.loaded.step}, {evaluation.split}, {how}", file=sys.stderr)
    result = evaluation(progress=Progress)
    print(result.table())
    if result.warning():
        print(result.warning(), file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    result.write(folder)
    stem = folder / result.name
    print(f"figures: {stem}.json, .csv\nconfusion matrix: {stem}_confusion.png")
    if given.sheet:
        write_whole(f"{stem}.png", evaluation.sheet(given.sheet))
        print(f"pictures: {stem}.png")
    return result


if __name__ == "__main__":
    start("evaluate", define_flags, run)
