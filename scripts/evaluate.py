"""Evaluates a trained model on a split of a data set: mIoU, per-class table, boundaries, pictures.

    python scripts/evaluate.py --workdir=runs/scenes --data_dir=data
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --scales=0.5,0.75,1,1.25,1.5,1.75 --flip
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --watch --timeout=7200

Writes `eval_<name>_<split>[_ms][_flip][_window<height>x<width>]….json`, and of the same name `.csv`, `_confusion.png`
and `.png` (image | truth | prediction) into the workdir. --watch evaluates checkpoint after checkpoint of a run that
is under way, appends a line for each to `….jsonl`, and ends after the run's last, or when none has come for --timeout.
"""

import functools
import sys
from pathlib import Path

from absl import flags

from deeplab_ksac.runs import following as watch
from deeplab_ksac.runs import results
from deeplab_ksac.runs.evaluation import Evaluation, checkpoint_number
from deeplab_ksac.scripts.commandline import views
from deeplab_ksac.scripts.commandline.entry import start


def define_flags():
    """Where the model and the data are, which split, and how it is evaluated."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets", required=True)
    flags.DEFINE_string("dataset", None, "name/split, such as camvid/test (default: the experiment's)")
    views.define_flags()
    flags.DEFINE_float("boundary", None, "tolerance of the boundary F-score: share of the diagonal, or pixels if ≥ 1")
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_integer("batch_size", 1, "images at a time", lower_bound=1)
    flags.DEFINE_integer("sheet", 4, "images on the picture sheet; 0 for none", lower_bound=0)
    flags.DEFINE_bool("watch", False, "whether to follow the run's new checkpoints")
    flags.DEFINE_float("timeout", 3600.0, "seconds without a new checkpoint after which --watch ends", lower_bound=0)
    flags.DEFINE_float("interval", 10.0, "seconds between two looks of --watch", lower_bound=0.01)


def run(given):
    """Evaluates the workdir's model as `given` by flags: one checkpoint, or with --watch all that come."""
    from deeplab_ksac.runs import checkpoints

    if not given.watch:
        Evaluation(checkpoints.load_model(given.workdir, step=given.step), given)()
        return 0
    if given.step is not None:
        raise ValueError("--watch evaluates the checkpoints that come; it cannot be given a --step")
    return follow_run(given)


def follow_run(given):
    """Evaluates checkpoint after checkpoint, each as soon as it is there.

    Raises:
        FileNotFoundError: none came.
    """
    from deeplab_ksac.runs import checkpoints

    evaluation = None

    def load(path):
        if evaluation is not None:
            return evaluation.restore(path)
        stage, step = checkpoint_number(path)
        return checkpoints.load_model(given.workdir, step=step, stage=stage)

    count = 0
    for loaded in watch.follow(
        functools.partial(checkpoints.checkpoint_path, given.workdir),
        load,
        timeout=given.timeout,
        interval=given.interval,
        tell=functools.partial(print, file=sys.stderr),
    ):
        evaluation = evaluation or Evaluation(loaded, given)
        line = results.as_json(evaluation(), loaded.info.class_names, indent=None)
        with Path(f"{evaluation.stem}.jsonl").open("ab") as stream:
            stream.write(line)
        count += 1
        if evaluation.is_last():
            break
    if not count:
        raise FileNotFoundError(f"{given.workdir}: no checkpoint came within {given.timeout:g} seconds")
    print(f"evaluated {count} checkpoints", file=sys.stderr)
    return 0


if __name__ == "__main__":
    start("evaluate", define_flags, run)
