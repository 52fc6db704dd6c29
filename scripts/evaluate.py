"""Judges a trained model on a split of a converted data set: mIoU, per-class table, pixel accuracy, picture sheet.

    python scripts/evaluate.py --workdir=runs/scenes --data_dir=data
    python scripts/evaluate.py --workdir=runs/voc --data_dir=data --scales=0.5,0.75,1,1.25,1.5,1.75 --flip

Writes `eval_<name>_<split>[_ms][_flip][_window<height>x<width>].json` and, of the same name, a PNG into the workdir.
"""

import contextlib
import json
import math
import sys
from pathlib import Path

from absl import app, flags

from scripts import views
from scripts.output import exit_status, write_atomically
from scripts.progress import Progress

FLAGS = flags.FLAGS


def define_flags():
    """Where the model and the data are, which split, and how it is evaluated."""
    flags.DEFINE_string("workdir", None, "folder of the training run", required=True)
    flags.DEFINE_string("data_dir", None, "folder of the converted data sets", required=True)
    flags.DEFINE_string("dataset", None, "name/split, such as camvid/test (default: the experiment's)")
    views.define_flags()
    flags.DEFINE_integer("step", None, "which checkpoint (default: the latest)")
    flags.DEFINE_integer("batch_size", 1, "images at a time", lower_bound=1)
    flags.DEFINE_integer("sheet", 4, "images on the picture sheet; 0 for none", lower_bound=0)


def main(argv):
    """Evaluates what the flags name; the exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"not a flag: {' '.join(argv[1:])}")
    return exit_status(lambda: run(FLAGS), name="evaluate")


def run(given):
    """Loads the workdir's model, evaluates it as `given` by flags, prints the table, writes JSON and picture sheet."""
    from datasets import info as dataset_info
    from datasets import pipeline
    from deeplab_ksac.evaluation import evaluate
    from deeplab_ksac.training import checkpoints

    loaded = checkpoints.load_model(given.workdir, step=given.step)
    view = views.chosen(loaded.experiment.evaluation, given)
    name, split = dataset_and_split(given.dataset or loaded.experiment.evaluation.dataset)
    converted = dataset_info.load_info(name, given.data_dir)
    check_classes(loaded.info, converted)
    if split not in converted.num_examples:
        known = ", ".join(sorted(converted.num_examples))
        raise ValueError(f"{name} has no split {split!r} in {given.data_dir} (splits: {known})")
    batches = pipeline.eval_batches(name, split, data_dir=given.data_dir, batch_size=given.batch_size)
    print(f"checkpoint at step {loaded.step}, {name}/{split}, {views.describe(**view)}", file=sys.stderr)

    num_batches = math.ceil(converted.num_examples[split] / given.batch_size)
    with contextlib.closing(Progress(num_batches, "evaluate")) as progress:
        result = evaluate(loaded.model, batches, num_classes=loaded.info.num_classes, progress=progress, **view)
    result = {"dataset": name, "split": split, "step": int(loaded.step), **view, **result}
    print(table(result, loaded.info.class_names))
    stem = Path(given.workdir, result_name(name, split, **view))
    write_atomically(f"{stem}.json", as_json(result, loaded.info.class_names))
    print(f"figures: {stem}.json")
    if given.sheet:
        apart = max(converted.num_examples[split] // given.sheet, 1)  # neighbors are often frames of one film
        examples = pipeline.eval_batches(name, split, data_dir=given.data_dir).shard(apart, 0).take(given.sheet)
        write_atomically(f"{stem}.png", sheet(loaded, examples, view))
        print(f"pictures: {stem}.png")
    return 0


def dataset_and_split(text):
    """The name and the split of "name/split".

    Raises:
        ValueError: if the text is not of that form.
    """
    name, slash, split = text.partition("/")
    if not (name and slash and split):
        raise ValueError(f"--dataset must be name/split, such as camvid/test, not {text!r}")
    return name, split


def check_classes(trained, converted):
    """Raises ValueError if a model trained on one data set cannot be judged on the other."""
    if tuple(trained.class_names) == tuple(converted.class_names):
        return
    for number, (ours, theirs) in enumerate(zip(trained.class_names, converted.class_names)):
        if ours != theirs:
            difference = f"class {number} is {ours!r} in the model and {theirs!r} in the data"
            break
    else:
        difference = f"the model has {trained.num_classes} classes, the data {converted.num_classes}"
    raise ValueError(f"the model, trained on {trained.name}, does not fit {converted.name}: {difference}")


def result_name(name, split, *, scales, flip, window):
    """The stem of the result's files: eval_<name>_<split>, _ms for other scales than 1, _flip, _window<h>x<w>."""
    marks = "_ms" * (tuple(scales) != (1.0,)) + "_flip" * bool(flip)
    marks += "" if window is None else "_window" + "x".join(map(str, window))
    return f"eval_{name}_{split}{marks}"


def as_json(result, class_names):
    """The result as the bytes of a JSON file; NaN (an absent class) becomes null."""

    def known(value):
        if isinstance(value, (list, tuple)):
            return [known(element) for element in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    content = {**{key: known(value) for key, value in result.items()}, "class_names": list(class_names)}
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def table(result, class_names):
    """IoU, accuracy and share of the pixels of each class, and the means, as text."""
    width = max(len("class"), *(len(name) for name in class_names))
    lines = [f"{'class':<{width}}  {'IoU':>7}  {'accuracy':>8}  {'pixels':>7}"]
    for row in zip(class_names, result["iou"], result["accuracy"], result["share"]):
        name, *figures = row
        iou, accuracy, share = (percent(figure) for figure in figures)
        lines.append(f"{name:<{width}}  {iou:>7}  {accuracy:>8}  {share:>7}")
    absent = [name for name, iou in zip(class_names, result["iou"]) if math.isnan(iou)]
    if absent:
        lines.append(f"absent, and left out of the mean: {', '.join(absent)}")
    lines.append(
        f"mIoU {percent(result['miou'])}   pixel accuracy {percent(result['pixel_accuracy'])}   "
        f"mean accuracy {percent(result['mean_accuracy'])}   "
        f"frequency-weighted IoU {percent(result['frequency_weighted_iou'])}   ({result['images']} images)"
    )
    return "\n".join(lines)


def percent(value):
    """0.5 -> "50.00%", NaN -> "-"."""
    return "-" if math.isnan(value) else f"{value:.2%}"


def sheet(loaded, batches, view):
    """Images with truth and prediction, as the bytes of a PNG; the batches are of one image each."""
    from deeplab_ksac import visualization
    from deeplab_ksac.inference import Predictor

    predictor = Predictor(loaded.model, **view)
    examples = list(batches.unbatch())
    pictures = [example["image"].numpy() for example in examples]
    truths = [example["labels"].numpy() for example in examples]
    predictions = [predictor(picture) for picture in pictures]
    return visualization.encode_png(visualization.prediction_sheet(pictures, truths, predictions, loaded.info))


if __name__ == "__main__":
    define_flags()
    app.run(main)
