"""One stage of a run: its model, data and optimizer, and the loop over its steps."""

import contextlib
import dataclasses
import functools

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import batch_filenames, eval_batches, train_batches
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import StageCheckpoints
from deeplab_ksac.runs.workdir import was_evaluated
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.determinism import device_type, refuse_unrepeatable
from deeplab_ksac.training.failures import failures_in_words
from deeplab_ksac.training.grouped import backbone_variables
from deeplab_ksac.training.initial_weights import load_backbone_weights
from deeplab_ksac.training.interruption import RestartError
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.pictures import log_pictures
from deeplab_ksac.training.stage_log import StageLog
from deeplab_ksac.training.step import make_train_step
from deeplab_ksac.training.strategy import workers


class DivergenceError(ValueError):
    """A loss term is not finite; the message names the step, the term and the files of the batch."""


class StageRun:
    """One stage of an experiment: its model, objective, optimizer and data, and the loop over its steps."""

    def __init__(self, experiment, index, info, place):
        self.experiment, self.index, self.info, self.place = experiment, index, info, place
        self.stage, self.strategy = experiment.stages[index], place.strategy
        self.seed = experiment.seed + index
        with self.strategy.scope():
            self.model = build_model(experiment.model, info.num_classes)
            objective = build_objective(experiment.losses, info.num_classes)
            objective.build(self.model.output)
            self.optimizer = build_optimizer(self.stage.optimizer, self.stage.steps, self.stage.schedule)
            backbone = backbone_variables(self.model) if self.optimizer.backbone_lr != 1 else ()
            self.optimizer.build(self.model.trainable_variables, backbone)
            self.averages = MovingAverages(self.model, self.stage.ema_decay) if self.stage.ema_decay else None
            views = experiment.evaluation.views
            self.evaluator = Evaluator(self.model, num_classes=info.num_classes, views=views, strategy=self.strategy)
            kept = {"objective": objective, "averages": self.averages, "strategy": self.strategy}
            self.checkpoints = StageCheckpoints(place.workdir, index, self.model, self.optimizer, **kept)
        options = {name: getattr(self.stage, name) for name in ("l2", "accumulate", "clip_norm")}
        self.train_step = make_train_step(
            self.model, objective, self.optimizer, self.strategy, averages=self.averages, **options
        )

    def __call__(self, init_from, backbone_weights, progress, stop):
        """Trains the stage from where it stands to its end.

        Args:
            init_from, backbone_weights, progress: as `loop.train`.
            stop: a `StopRequest` that is entered.

        Returns:
            The last evaluation's figures; None where there was none.
        """
        initialize = backbone_weights and functools.partial(
            load_backbone_weights, backbone=self.experiment.model.backbone, weights=backbone_weights
        )
        first = self.checkpoints.restore_or_initialize(init_from, initialize)
        evaluated = first == 0 or was_evaluated(self.place.workdir, self.index, first)
        owed = not evaluated and self.evaluation_due(first)  # it was stopped between the checkpoint and the evaluation
        if first >= self.stage.steps and not owed:
            return None
        writes = self.strategy.extended.should_save_summary
        log = StageLog(self.place.workdir, self.index, first, evaluated=evaluated, writes=writes)
        with contextlib.closing(log), failures_in_words(workers(self.strategy)[0], self.checkpoints.newest):
            figures = self.evaluate(first, log, stop) if owed else None
            if first < self.stage.steps:
                label = f"stage {self.index + 1}/{len(self.experiment.stages)}"
                with contextlib.closing(progress(self.stage.steps, label, start=first)) as shown:
                    figures = self.train(first, log, shown, stop) or figures
        return figures

    def train(self, first, log, shown, stop):
        """Takes the steps from `first` on; the last evaluation's figures."""
        batches, figures, unchecked = self.batches(first), None, None
        if self.place.deterministic:
            refuse_unrepeatable(self.train_step.traced(batches), device_type(self.strategy))
        for step, terms in self.steps(batches, first, log):
            if unchecked is not None:
                self.check(*unchecked)
            unchecked, done, measured = (step, terms), step + 1, {}
            if self.due(done, self.experiment.log_every):
                measured = log.write_training(done, self.check(step, terms), self.stage, self.optimizer)
            shown.update(1, **measured)
            saved, stopped = self.due(done, self.experiment.checkpoint_every), stop.agreed() and self.at_rest(done)
            if saved or stopped:
                self.save(step, terms, log)
            if stopped and done < self.stage.steps:
                raise RestartError(f"stopped as asked after step {done}, whose checkpoint is saved")
            if self.evaluation_due(done):
                try:
                    figures = self.evaluate(done, log, stop)
                except RestartError:
                    if not saved:
                        self.save(step, terms, log)
                    raise
        return figures

    def steps(self, batches, first, log):
        """(step, terms) of every step from `first` on; several are computed at once where nothing is due between."""
        step, plan = first, self.experiment
        every = (plan.log_every, plan.checkpoint_every, plan.evaluate_every)
        while step < self.stage.steps:
            free = [number - step % number for number in every if number > 0]
            count = min(self.stage.steps_per_call, self.stage.steps - step, *free)
            if self.stage.steps_per_call == 1:
                yield step, self.train_step(log.timed_next(batches))
            else:
                terms = {name: tf.unstack(values) for name, values in self.train_step.run(batches, count).items()}
                yield from ((step + i, {name: values[i] for name, values in terms.items()}) for i in range(count))
            step += count

    def due(self, done, every):
        """Whether something that is done every so many steps, and after the last, is due after `done` steps."""
        return done == self.stage.steps or (every > 0 and done % every == 0)

    def evaluation_due(self, done):
        """Whether the model is to be evaluated after `done` steps."""
        return self.place.evaluates and self.due(done, self.experiment.evaluate_every)

    def at_rest(self, done):
        """Whether the weights are those after `done` steps: with several steps a call they run ahead."""
        return int(self.optimizer.iterations.numpy()) == done

    def save(self, step, terms, log):
        """Saves a checkpoint after `step`, if its terms are finite, and before it all that was logged."""
        self.check(step, terms)
        log.flush()
        self.checkpoints.save(step + 1)

    @functools.cached_property
    def data(self):
        """The training data as `datasets.pipeline` takes it."""
        chosen = {field.name: getattr(self.stage.data, field.name) for field in dataclasses.fields(self.stage.data)}
        return {**chosen, "data_dir": self.place.data_dir, "batch_size": self.stage.batch_size, "seed": self.seed}

    def batches(self, first_step):
        """The distributed stream of training batches from a step on."""

        def pipeline(context):
            return train_batches(**self.data, first_step=first_step, input_context=context)

        return iter(self.strategy.distribute_datasets_from_function(pipeline))

    def check(self, step, terms):
        """The terms of a step as floats; those of a step that loss scaling skipped may be not finite.

        Raises:
            DivergenceError: one of them is not finite.
        """
        values = {name: float(value) for name, value in terms.items()}
        if values.get("skipped"):
            return values
        for name, value in values.items():
            if not np.isfinite(value):
                ordered_by = {key: self.data[key] for key in ("sources", "data_dir", "batch_size", "seed", "weights")}
                raise DivergenceError(
                    f"{name} is {value} at step {step} of stage {self.index}; the batch was "
                    f"{', '.join(batch_filenames(**ordered_by, step=step))}. "
                    "A lower learning rate, or a look at these files, may help; the last checkpoint is as it was"
                )
        return values

    def evaluate(self, done, log, stop):
        """Judges the model on the validation split as the experiment says, and shows its first pictures.

        Raises:
            RestartError: this process was asked to stop.
        """
        name, split = self.experiment.evaluation.dataset.split("/")
        averaged = self.averages.in_place(self.model, self.strategy) if self.averages else contextlib.nullcontext()
        whole = {"data_dir": self.place.data_dir}
        with log.paused(), averaged:
            share = eval_batches(name, split, **whole, input_context=self.evaluation_share(name, split))
            figures = self.evaluator(share, progress=stop)
            with log.writer.as_default(step=done):
                log_pictures(self.model, eval_batches(name, split, **whole), self.info)
        log.write_evaluation(done, figures)
        return figures

    def evaluation_share(self, name, split):
        """Which part of a split this worker reads; None for all of it, as where there are more workers than images."""
        number, index = workers(self.strategy)
        if not 1 < number <= load_info(name, self.place.data_dir).num_examples[split]:
            return None
        return tf.distribute.InputContext(number, index, self.strategy.num_replicas_in_sync)
