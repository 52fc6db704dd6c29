"""The whole of a training run: stages, data, steps, measurements, checkpoints."""

import contextlib
import dataclasses
import time

import numpy as np
import tensorflow as tf

from datasets.info import load_info
from datasets.pipeline import batch_filenames, eval_batches, train_batches
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training.checkpoints import StageCheckpoints, stage_dir
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.pictures import log_pictures
from deeplab_ksac.training.step import make_train_step
from deeplab_ksac.training.workdir import MetricsLog, claim_workdir


class DivergenceError(ValueError):
    """A loss term is not finite; the message names the step, the term and the files of the batch."""


def train(experiment, *, data_dir, workdir, strategy, init_from=None, progress=None):
    """Trains an experiment in its folder, or goes on where an earlier call was stopped.

    Args:
        experiment: what is trained.
        data_dir: where converted data sets live.
        workdir: folder for configuration, checkpoints, events and metrics.
        strategy: a `tf.distribute.Strategy`.
        init_from: workdir of a run whose weights the first stage starts from.
        progress: (total, label, start) -> an object with `update(n, **shown)` and `close()`; None shows nothing.

    Returns:
        The last evaluation's figures, as `deeplab_ksac.evaluation.summarize`; None if the run was finished before.

    Raises:
        DivergenceError: a loss term became NaN or infinite; nothing was saved since the last good checkpoint.
        ValueError: the folder holds another run, or data and model do not fit each other.
    """
    info = check_data(experiment, data_dir)
    claim_workdir(workdir, experiment, info)
    figures = None
    for index in range(len(experiment.stages)):
        run = StageRun(experiment, index, info, data_dir=data_dir, workdir=workdir, strategy=strategy)
        figures = run(init_from=init_from, progress=progress or SilentProgress) or figures
    return figures


def check_data(experiment, data_dir):
    """Makes sure before the first step that every data set of every stage, and of the evaluation, is there and fits.

    Returns:
        The `ConvertedInfo` of the first.

    Raises:
        ValueError: a data set or split that is missing, or whose classes are not those of the first.
    """
    trained_on = [source for stage in experiment.stages for source in stage.data.sources]
    first = load_info(trained_on[0].partition("/")[0], data_dir)
    for source in (*trained_on, experiment.evaluation.dataset):
        name, _, split = source.partition("/")
        info = load_info(name, data_dir)
        if split not in info.num_examples:
            raise ValueError(f"{name} has no split {split!r} in {data_dir}; it has {', '.join(info.num_examples)}")
        if info.class_names != first.class_names:
            raise ValueError(f"{name} has other classes than {first.name}: {info.num_classes}, {first.num_classes}")
    return first


class SilentProgress:
    """Shows nothing."""

    def __init__(self, total, label, start=0):
        pass

    def update(self, n=1, **shown):
        """Counts nothing."""

    def close(self):
        """Closes nothing."""


class StageRun:
    """One stage of an experiment: its model, objective, optimizer and data, and the loop over its steps."""

    def __init__(self, experiment, index, info, *, data_dir, workdir, strategy):
        self.experiment, self.index, self.info = experiment, index, info
        self.stage = experiment.stages[index]
        self.data_dir, self.workdir, self.strategy = data_dir, workdir, strategy
        self.seed = experiment.seed + index
        with strategy.scope():
            self.model = build_model(experiment.model, info.num_classes)
            objective = build_objective(experiment.losses, info.num_classes)
            objective.build(self.model.output)
            self.optimizer = build_optimizer(self.stage.optimizer, self.stage.steps)
            self.optimizer.build(self.model.trainable_variables)
            self.evaluator = Evaluator(self.model, num_classes=info.num_classes, strategy=strategy)
            self.checkpoints = StageCheckpoints(
                workdir, index, self.model, self.optimizer, objective=objective, strategy=strategy
            )
        self.train_step = make_train_step(self.model, objective, self.optimizer, strategy, l2=self.stage.l2)
        self.evaluated_split = experiment.evaluation.dataset.split("/")

    def __call__(self, *, init_from, progress):
        """Trains the stage from where it stands to its end; the last evaluation's figures."""
        first, last = self.checkpoints.restore_or_initialize(init_from), self.stage.steps
        if first >= last:
            return None
        log = StageLog(self.workdir, self.index, first, writes=self.strategy.extended.should_save_summary)
        shown = progress(last, f"stage {self.index + 1}/{len(self.experiment.stages)}", start=first)
        batches, figures, unchecked = self.batches(first), None, None
        for step in range(first, last):
            terms = self.train_step(log.timed_next(batches))
            if unchecked is not None:
                self.check(*unchecked)
            unchecked, done, measured = (step, terms), step + 1, {}
            if self.due(done, self.experiment.log_every):
                measured = log.write_training(done, self.check(step, terms), self.stage, self.optimizer)
            shown.update(1, **measured)
            if self.due(done, self.experiment.checkpoint_every):
                self.check(step, terms)
                self.checkpoints.save(done)
            if self.due(done, self.experiment.evaluate_every):
                figures = self.evaluate(done, log)
        shown.close()
        log.close()
        return figures

    def due(self, done, every):
        """Whether something that is done every so many steps, and after the last, is due after `done` steps."""
        return done == self.stage.steps or (every > 0 and done % every == 0)

    def batches(self, first_step):
        """The distributed stream of training batches from a step on."""

        def pipeline(context):
            return train_batches(
                **{field.name: getattr(self.stage.data, field.name) for field in dataclasses.fields(self.stage.data)},
                data_dir=self.data_dir,
                batch_size=self.stage.batch_size,
                seed=self.seed,
                first_step=first_step,
                input_context=context,
            )

        return iter(self.strategy.distribute_datasets_from_function(pipeline))

    def check(self, step, terms):
        """The terms of a step as floats.

        Raises:
            DivergenceError: one of them is not finite.
        """
        values = {name: float(value) for name, value in terms.items()}
        for name, value in values.items():
            if not np.isfinite(value):
                files = batch_filenames(
                    self.stage.data.sources,
                    data_dir=self.data_dir,
                    batch_size=self.stage.batch_size,
                    seed=self.seed,
                    step=step,
                )
                raise DivergenceError(
                    f"{name} is {value} at step {step} of stage {self.index}; the batch was {', '.join(files)}. "
                    "A lower learning rate, or a look at these files, may help; the last checkpoint is as it was"
                )
        return values

    def evaluate(self, done, log):
        """Judges the model on the validation split, single-scale, and shows its first pictures."""
        name, split = self.evaluated_split
        with log.paused():
            figures = self.evaluator(eval_batches(name, split, data_dir=self.data_dir))
            with log.writer.as_default(step=done):
                log_pictures(self.model, eval_batches(name, split, data_dir=self.data_dir), self.info)
        log.write_evaluation(done, figures)
        return figures


class StageLog:
    """Speed, losses and evaluations of a stage, to TensorBoard events and JSON lines; of several workers one writes."""

    def __init__(self, workdir, index, first_step, *, writes):
        folder = str(stage_dir(workdir, index))
        self.writer = tf.summary.create_file_writer(folder) if writes else tf.summary.create_noop_writer()
        self.metrics = MetricsLog(workdir, index, first_step) if writes else None
        self.logged = first_step
        self.waited, self.since = 0.0, time.perf_counter()

    def timed_next(self, batches):
        """The next batch; how long it was waited for is counted."""
        start = time.perf_counter()
        batch = next(batches)
        self.waited += time.perf_counter() - start
        return batch

    def write_training(self, done, terms, stage, optimizer):
        """Writes the terms, learning rate, images per second and share of time spent waiting for data."""
        elapsed = time.perf_counter() - self.since
        speed = (done - self.logged) * stage.batch_size / elapsed
        values = {
            **terms,
            "learning_rate": float(optimizer.learning_rate.numpy()),
            "images_per_second": speed,
            "data_wait": self.waited / elapsed,
        }
        self._write(done, {f"train/{name}": value for name, value in values.items()})
        self.logged, self.waited, self.since = done, 0.0, time.perf_counter()
        return {
            "loss": f"{terms['loss']:.4f}",
            "img/s": f"{speed:.1f}",
            "data": f"{values['data_wait']:.0%}",
        }

    @contextlib.contextmanager
    def paused(self):
        """What happens inside does not count as time of training."""
        start = time.perf_counter()
        yield
        self.since += time.perf_counter() - start

    def write_evaluation(self, done, figures):
        """Writes the scalar figures."""
        scalars = {name: value for name, value in figures.items() if isinstance(value, float)}
        self._write(done, {f"eval/{name}": value for name, value in scalars.items()})

    def _write(self, done, values):
        with self.writer.as_default(step=done):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        if self.metrics is not None:
            self.metrics.write(done, **values)

    def close(self):
        """Flushes what was written."""
        self.writer.close()
