"""One stage of a run: its model, objective, optimizer and data, and what is done with them."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.construct import at, bound
from deeplab_ksac.datasets.info import DatasetInfo, load_info
from deeplab_ksac.datasets.pipeline import batch_filenames, eval_batches, train_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.model import with_small_logits
from deeplab_ksac.runs.checkpoints import StageCheckpoints
from deeplab_ksac.runs.patience import early_end, logged_evaluations
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.cached_backbone import CachedForward, cached_features, check_levels, check_weights
from deeplab_ksac.training.interruption import StopRequest
from deeplab_ksac.training.listeners import EvaluationResult
from deeplab_ksac.training.log import StageLog, evaluation_pictures
from deeplab_ksac.training.parts import build_parts
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import check_repeatable, device_type, workers

Terms = Sequence[dict[str, tf.Tensor]]  # of the steps of a call, in order


class DivergenceError(ValueError):
    """A loss term is not finite; the message names the step, the term and the files of the batch."""


class StageRun:
    """One stage of an experiment, ready to be trained from its beginning or from a checkpoint.

    Args:
        experiment: what is trained.
        index: of the stage.
        info: of the data set whose classes the model tells apart.
        data_dir, workdir, strategy, jit: as `loop.train`.
    """

    def __init__(
        self,
        experiment: Experiment,
        index: int,
        info: DatasetInfo,
        *,
        data_dir: str | os.PathLike,
        workdir: str | os.PathLike,
        strategy: tf.distribute.Strategy,
        jit: bool = False,
    ):
        self.experiment, self.index, self.stage, self.info = experiment, index, experiment.stages[index], info
        self.data_dir, self.workdir, self.strategy = data_dir, workdir, strategy
        self.views = experiment.evaluation.views
        stage = self.stage
        self.cached = cached_features(experiment, index, data_dir)
        with strategy.scope():
            self.model, self.objective, self.optimizer = build_parts(experiment, index, info.num_classes, info.bands)
            forward = None
            if self.cached is not None:
                with at(f"stages[{index}].features"):
                    check_levels(self.cached, self.model)
                forward = CachedForward(with_small_logits(self.model), self.cached.header.levels)
            self.averages = MovingAverages(self.model, stage.ema_decay) if stage.ema_decay else None
            self.evaluator = Evaluator(self.model, num_classes=info.num_classes, strategy=strategy, views=self.views)
            kept = {"objective": self.objective, "averages": self.averages, "strategy": strategy}
            self.checkpoints = StageCheckpoints(workdir, index, self.model, self.optimizer, **kept)
        options = {"l2": stage.l2, "accumulate": stage.accumulate, "clip_norm": stage.clip_norm}
        options |= {"averages": self.averages, "recompute": stage.recompute, "jit": jit, "forward": forward}
        self.augmentations = [
            _augmentation(each, f"stages[{index}].data.augmentations[{number}]")
            for number, each in enumerate(stage.data.augmentations)
        ]
        self.evaluations = []  # (steps, mIoU) of each that was made so far
        with at(f"stages[{index}]"):
            self.train_step = TrainStep(self.model, self.objective, self.optimizer, strategy, **options)
        self.order = {
            "sources": stage.data.sources,
            "weights": stage.data.weights,
            "data_dir": data_dir,
            "batch_size": stage.batch_size,
            "seed": experiment.seed + index,
        }

    def restore(self) -> int:
        """Goes on from the newest whole checkpoint, and what was logged by then; the steps done, 0 for a new stage."""
        first = self.checkpoints.restore()
        self.evaluations = logged_evaluations(self.workdir, self.index, first)
        return first

    def is_over(self, done: int) -> bool:
        """Whether the stage ends after `done` steps: there are no more, or its patience has run out."""
        return done >= self.stage.steps or early_end(self.evaluations, self.stage.patience) is not None

    def due(self, done: int, every: int) -> bool:
        """Whether something that is done every so many steps, and after the last, is due after `done` steps."""
        return done == self.stage.steps or (every > 0 and done % every == 0)

    def check_step(self, *, deterministic: bool = False) -> None:
        """Traces the step, as its first call would, and computes nothing: whatever cannot be is found.

        Raises:
            ValueError: it cannot be traced; or with `deterministic`, as `calls`.
        """
        step = self.train_step.traced(self._batches(0))
        if deterministic:
            check_repeatable(step, device_type(self.strategy))

    def calls(self, first: int, log: StageLog, *, deterministic: bool = False) -> Iterator[tuple[int, Terms]]:
        """Takes the steps from `first` on: (steps done, terms of each new one) after every call of the compiled step.

        What is due after some step is due at the end of a call. The terms of a call are checked once the next one is
        under way, so that Python does not wait for the device; the caller checks those of the last.

        Raises:
            DivergenceError: a term is not finite.
            ValueError: with `deterministic`, an operation that could not be repeated bit for bit; cached features of
                other weights than the model's backbone has.
        """
        if self.cached is not None:
            with at(f"stages[{self.index}].features"):
                check_weights(self.cached, self.model)
        batches, done, before = iter(self._batches(first)), first, None
        if deterministic:
            check_repeatable(self.train_step.traced(batches), device_type(self.strategy))
        while not self.is_over(done):
            if self.stage.steps_per_call == 1:
                terms = [self.train_step(log.timed_next(batches))]
            else:
                several = self.train_step.run(batches, self._steps_until_due(done))
                columns = [tf.unstack(values) for values in several.values()]
                terms = [dict(zip(several, row, strict=True)) for row in zip(*columns, strict=True)]
            if before is not None:
                self.check(*before)
            done += len(terms)
            before = done, terms
            yield before

    def _steps_until_due(self, done):
        plan = self.experiment
        every = [number for number in (plan.log_every, plan.checkpoint_every, plan.evaluate_every) if number > 0]
        free = [number - done % number for number in every]
        return min(self.stage.steps_per_call, self.stage.steps - done, *free)

    def _batches(self, first_step):
        """The distributed data set of training batches from a step on."""
        data = {**vars(self.stage.data), **self.order, "augmentations": self.augmentations}

        def pipeline(context):
            if self.cached is not None:
                order = {name: self.order[name] for name in ("batch_size", "seed", "weights")}
                return self.cached.batches(**order, first_step=first_step, input_context=context)
            return train_batches(**data, first_step=first_step, input_context=context)

        return self.strategy.distribute_datasets_from_function(pipeline)

    def check(self, done: int, terms: Terms) -> list[dict[str, float]]:
        """The terms of the last steps as floats; those of a step that loss scaling skipped may be not finite.

        Raises:
            DivergenceError: one of them is not finite.
        """
        checked = [{name: float(value) for name, value in one.items()} for one in terms]
        for step, values in enumerate(checked, start=done - len(terms)):
            wrong = [name for name, value in values.items() if not np.isfinite(value)]
            if wrong and not values.get("skipped"):
                raise DivergenceError(
                    f"{wrong[0]} is {values[wrong[0]]} at step {step} of stage {self.index}; the batch was "
                    f"{', '.join(batch_filenames(**self.order, step=step))}. "
                    "A lower learning rate, or a look at these files, may help; the last checkpoint is unchanged"
                )
        return checked

    def save(self, done: int, terms: Terms, log: StageLog) -> None:
        """Saves a checkpoint after `done` steps, if the last terms are finite, and before it all that was logged; tells
        of it then.

        Raises:
            DivergenceError: a term is not finite.
            OSError: the checkpoint cannot be written; those before are as they were.
        """
        self.check(done, terms)
        log.flush()
        log.write_checkpoint(done, self.checkpoints.save(done))

    def evaluate(self, done: int, log: StageLog, stop: StopRequest) -> dict[str, Any]:
        """Evaluates the model on the validation split as the experiment says, and logs figures and first pictures.

        The checkpoint of these steps, which must be saved, is kept where it is the best.

        Returns:
            The figures of the whole split where it was evaluated, else of the part that evaluation during training
            takes.

        Raises:
            RestartError: this process was asked to stop.
            OSError: the best checkpoint cannot be kept.
        """
        split, part, whole = Split.parse(self.experiment.evaluation.dataset), self.experiment.evaluate_images, None
        size = load_info(split.dataset, self.data_dir).num_examples[split.name]
        stored = {"name": split.dataset, "split": split.name, "data_dir": self.data_dir}

        def measured(images):
            share = self._share_of(images)
            return self.evaluator(eval_batches(**stored, images=images, input_context=share), progress=stop)

        averaged = self.averages.in_place(self.model, self.strategy) if self.averages else contextlib.nullcontext()
        with log.paused(), averaged:
            figures = measured(min(part or size, size))
            self.evaluations.append((done, figures["miou"]))
            if 0 < part < size and self.is_over(done):
                whole = measured(size)
            pictures = evaluation_pictures(self.model, eval_batches(**stored), self.info, self.views)
        self.checkpoints.keep_best(done, figures)
        log.write_evaluation(done, EvaluationResult(figures, whole, pictures))
        return figures if whole is None else whole

    def _share_of(self, images):
        """Which part of so many images this worker reads; None for all, as where there are more workers than images."""
        number, index = workers(self.strategy)
        if not 1 < number <= images:
            return None
        return tf.distribute.InputContext(number, index, self.strategy.num_replicas_in_sync)


def _augmentation(part, path):
    """The function (example, seed) -> example of one's own that an experiment names at a path."""
    with at(path):
        return bound(part, "example", "seed")
