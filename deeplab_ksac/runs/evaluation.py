"""One evaluation of a run's model on a split: what is loaded, checked, printed and written."""

import contextlib
import dataclasses
import math
import sys
from pathlib import Path

from deeplab_ksac.runs import results
from deeplab_ksac.scripts.commandline import views
from deeplab_ksac.scripts.commandline.progress import Progress
from deeplab_ksac.whole_files import write_whole


class Evaluation:
    """A loaded model, its data and its way of evaluation: compiled once, for one checkpoint or many.

    Raises:
        ValueError: the data set or split is missing, has other classes, or a view makes no sense.
    """

    def __init__(self, loaded, given):
        from deeplab_ksac.datasets import info as dataset_info
        from deeplab_ksac.evaluation import Evaluator

        self.loaded, self.given = loaded, given
        self.view = views.chosen(loaded.experiment.evaluation, given)
        self.name, self.split = dataset_and_split(given.dataset or loaded.experiment.evaluation.dataset)
        self.converted = dataset_info.load_info(self.name, given.data_dir)
        check_classes(loaded.info, self.converted)
        if self.split not in self.converted.num_examples:
            known = ", ".join(sorted(self.converted.num_examples))
            raise ValueError(f"{self.name} has no split {self.split!r} in {given.data_dir} (splits: {known})")
        self.stem = Path(given.workdir, results.result_name(self.name, self.split, **self.view))
        self.evaluator = Evaluator(
            loaded.model, num_classes=loaded.info.num_classes, boundary_tolerance=given.boundary, **self.view
        )

    def restore(self, path):
        """Takes the weights of another checkpoint of the run; the `LoadedModel`."""
        from deeplab_ksac.runs.checkpoints import restore_weights

        restore_weights(self.loaded.model, path)
        stage, step = checkpoint_number(path)
        self.loaded = dataclasses.replace(self.loaded, step=step, stage=stage)
        return self.loaded

    def is_last(self):
        """Whether the run is finished with this checkpoint."""
        stages = self.loaded.experiment.stages
        return self.loaded.stage == len(stages) - 1 and self.loaded.step >= stages[-1].steps

    def __call__(self, *, progress=Progress):
        """Evaluates, prints the table, writes the files; the result."""
        count, class_names = self.converted.num_examples[self.split], self.loaded.info.class_names
        print(
            f"checkpoint at step {self.loaded.step}, {self.name}/{self.split}, {views.describe(**self.view)}",
            file=sys.stderr,
        )
        with contextlib.closing(progress(math.ceil(count / self.given.batch_size), "evaluate")) as shown:
            result = self.evaluator(self._batches(self.given.batch_size), progress=shown)
        where = {"dataset": self.name, "split": self.split, "stage": self.loaded.stage, "step": int(self.loaded.step)}
        tolerance = {} if self.given.boundary is None else {"boundary_tolerance": self.given.boundary}
        result = {**where, **self.view, **tolerance, **result}
        print(results.table(result, class_names))
        self._warn(result)
        write_whole(f"{self.stem}.json", results.as_json(result, class_names))
        write_whole(f"{self.stem}.csv", results.as_csv(result, class_names))
        print(f"figures: {self.stem}.json, .csv")
        self._write_pictures(count)
        return result

    def _batches(self, batch_size=1):
        from deeplab_ksac.datasets import pipeline

        return pipeline.eval_batches(self.name, self.split, data_dir=self.given.data_dir, batch_size=batch_size)

    def _warn(self, result):
        from deeplab_ksac.prediction.folder import one_class_warning

        pixels = [share * result["pixels"] for share in result["predicted_share"]]
        warning = one_class_warning(pixels, self.loaded.info.class_names)
        if warning:
            print(warning, file=sys.stderr)

    def _write_pictures(self, count):
        from deeplab_ksac.figures.colors import encode_png
        from deeplab_ksac.figures.confusion import confusion_picture

        title = f"{self.name}/{self.split}, step {self.loaded.step}, {views.describe(**self.view)}"
        picture = confusion_picture(self.evaluator.confusion_matrix(), self.loaded.info.class_names, title=title)
        write_whole(f"{self.stem}_confusion.png", encode_png(picture))
        print(f"confusion matrix: {self.stem}_confusion.png")
        if self.given.sheet:
            apart = max(count // self.given.sheet, 1)  # neighbors are often frames of one film
            examples = self._batches().shard(apart, 0).take(self.given.sheet)
            write_whole(f"{self.stem}.png", sheet(self.loaded, examples, self.view))
            print(f"pictures: {self.stem}.png")


def checkpoint_number(path):
    """(stage, step) of …/stage_<stage>/ckpt-<step>."""
    path = Path(path)
    return int(path.parent.name.split("_")[1]), int(path.name.rsplit("-", 1)[1])


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


def sheet(loaded, batches, view):
    """Images with truth and prediction, as the bytes of a PNG; the batches are of one image each."""
    from deeplab_ksac.figures import drawing as figures
    from deeplab_ksac.figures.colors import encode_png
    from deeplab_ksac.prediction.predictor import Predictor

    predictor = Predictor(loaded.model, **view)
    examples = list(batches.unbatch())
    pictures = [example["image"].numpy() for example in examples]
    truths = [example["labels"].numpy() for example in examples]
    predictions = [predictor(picture) for picture in pictures]
    return encode_png(figures.predictions(pictures, truths, {"prediction": predictions}, loaded.info))
