"""Evaluating a run's model on a converted split: one checkpoint, or each that comes."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator

from deeplab_ksac.datasets.access import damage_named
from deeplab_ksac.datasets.info import DatasetInfo, load_info, require_bands
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.experiment import Views
from deeplab_ksac.figures import drawing
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.figures.colors import encode_png
from deeplab_ksac.precision import copy_weights
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs.checkpoints import LoadedModel, checkpoint_path, load_model, restore_weights
from deeplab_ksac.runs.following import follow
from deeplab_ksac.runs.patience import last_steps
from deeplab_ksac.runs.places import checkpoint_number
from deeplab_ksac.runs.results import EvaluationResult


class RunEvaluation:
    """A run's model, a converted split and the views: compiled once, for one checkpoint or many.

    Example:
        evaluation = RunEvaluation(load_model("runs/scenes"), data_dir="data", views=Views(flip=True))
        result = evaluation()
        print(result.figures["miou"], result.table())
        result.write("runs/scenes")

    Args:
        loaded: the model and what it was trained as.
        data_dir: folder of the converted data sets.
        split: what it is evaluated on; by default what the run's experiment says.
        views: how the model sees the images; by default as the run's experiment says.
        boundary_tolerance: of the boundary F-score, below 1 a share of the image's diagonal, else pixels; None leaves
            it out.
        batch_size: images of one size at a time.
        precision: in which the model computes, of `experiment.PRECISIONS`.

    Raises:
        ValueError: the data set or split is missing, or has other classes or bands; a tolerance that is not positive;
            as `LoadedModel.network`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        data_dir: str | os.PathLike,
        split: Split | None = None,
        views: Views | None = None,
        boundary_tolerance: float | None = None,
        batch_size: int = 1,
        precision: str = "float32",
    ):
        self.loaded, self.data_dir, self.batch_size = loaded, data_dir, batch_size
        self.split = split or Split.parse(loaded.experiment.evaluation.dataset)
        self.views = views or loaded.experiment.evaluation.views
        converted = load_info(self.split.dataset, data_dir)
        check_classes(loaded.info, converted)
        require_bands(
            self.split.dataset, converted.bands, loaded.info.bands, f"the model, trained on {loaded.info.name},"
        )
        if self.split.name not in converted.num_examples:
            known = ", ".join(sorted(converted.num_examples))
            raise ValueError(f"{self.split.dataset} has no split {self.split.name!r} in {data_dir} (splits: {known})")
        self.num_images = converted.num_examples[self.split.name]
        self.precision = precision
        self._network = loaded.network(precision)
        self.evaluator = Evaluator(
            self._network,
            num_classes=loaded.info.num_classes,
            views=self.views,
            boundary_tolerance=boundary_tolerance,
        )

    def __call__(self, *, progress: Callable | None = None) -> EvaluationResult:
        """Evaluates the checkpoint that is loaded.

        Args:
            progress: (total, label) -> an object with `update(n)` and `close()`; None shows nothing.
        """
        with contextlib.ExitStack() as stack:
            shown = progress and stack.enter_context(contextlib.closing(progress(self.num_images, "evaluate")))
            stack.enter_context(damage_named([str(self.split)], self.data_dir))
            figures = self.evaluator(self._batches(self.batch_size), progress=shown)
        tolerance = self.evaluator.boundary_tolerance
        return EvaluationResult(
            split=self.split,
            views=self.views,
            stage=self.loaded.stage,
            step=int(self.loaded.step),
            class_names=self.loaded.info.class_names,
            figures={**({} if tolerance is None else {"boundary_tolerance": tolerance}), **figures},
            confusion_matrix=self.evaluator.confusion_matrix(),
            precision=self.precision,
        )

    def sheet(self, count: int) -> bytes:
        """Image, truth and prediction of `count` images, evenly spread over the split, as a PNG file."""
        spread = eval_batches(self.split.dataset, self.split.name, data_dir=self.data_dir, images=count)
        examples = list(spread.unbatch())
        images = [example["image"].numpy() for example in examples]
        truths = [example["labels"].numpy() for example in examples]
        info = self.loaded.info
        predictor = Predictor(self._network, self.views, info=info)
        predictions = {"prediction": [predictor(image) for image in images]}
        pictures = [as_rgb(image, info.bands) for image in images]
        return encode_png(drawing.predictions(pictures, truths, predictions, info))

    def restore(self, path: str) -> None:
        """Takes the weights of another checkpoint of the run."""
        restore_weights(self.loaded.model, path)
        if self._network is not self.loaded.model:
            copy_weights(self.loaded.model, self._network)
        stage, step = checkpoint_number(path)
        self.loaded = dataclasses.replace(self.loaded, step=step, stage=stage)

    def _batches(self, batch_size):
        return eval_batches(self.split.dataset, self.split.name, data_dir=self.data_dir, batch_size=batch_size)


def follow_run(
    workdir: str | os.PathLike,
    begin: Callable[[LoadedModel], RunEvaluation],
    *,
    timeout: float = 3600.0,
    interval: float = 10.0,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[RunEvaluation]:
    """Yields the evaluation of a run that is under way with each of its checkpoints, as soon as that is there.

    It ends after the run's last checkpoint, or when none has come for `timeout` seconds.

    Args:
        workdir: the run's folder.
        begin: makes the evaluation of the first checkpoint; of later ones the same is yielded with their weights.
        timeout, interval, tell: as `follow`.

    Raises:
        FileNotFoundError: no checkpoint came.
    """
    evaluation = None

    def load(path):
        if evaluation is not None:
            evaluation.restore(path)
            return evaluation.loaded
        stage, step = checkpoint_number(path)
        return load_model(workdir, step, stage=stage)

    def ended():
        experiment = evaluation.loaded.experiment
        last = len(experiment.stages) - 1, last_steps(workdir, experiment)[-1]
        return (evaluation.loaded.stage, evaluation.loaded.step) >= last

    newest = functools.partial(checkpoint_path, workdir)
    for loaded in follow(newest, load, timeout=timeout, interval=interval, tell=tell, ended=ended):
        evaluation = evaluation or begin(loaded)
        yield evaluation
    if evaluation is None:
        raise FileNotFoundError(f"{workdir}: no checkpoint came within {timeout:g} seconds")


def check_classes(trained: DatasetInfo, converted: DatasetInfo) -> None:
    """Raises ValueError if a model trained on one data set cannot be evaluated on the other."""
    if tuple(trained.class_names) == tuple(converted.class_names):
        return
    for number, (ours, theirs) in enumerate(zip(trained.class_names, converted.class_names, strict=False)):
        if ours != theirs:
            difference = f"class {number} is {ours!r} in the model and {theirs!r} in the data"
            break
    else:
        difference = f"the model has {trained.num_classes} classes, the data {converted.num_classes}"
    raise ValueError(f"the model, trained on {trained.name}, does not fit {converted.name}: {difference}")
