"""Speed, losses and evaluations of a stage, to TensorBoard events and JSON lines, without gaps or doubles."""

import contextlib
import pathlib
import time

import numpy as np
import tensorflow as tf

from deeplab_ksac.runs.checkpoints import stage_dir
from deeplab_ksac.runs.workdir import MetricsLog


class StageLog:
    """The logs of a stage from a step on; of several workers one writes.

    What an earlier run logged after the checkpoint that this one goes on from is taken out first.

    Args:
        workdir, index: the run's folder, and the stage in it.
        first_step: steps that were done before.
        evaluated: whether the evaluation after `first_step` was logged to its end.
        writes: whether this worker writes.
    """

    def __init__(self, workdir, index, first_step, *, evaluated, writes):
        folder = stage_dir(workdir, index)
        if writes:
            trim_events(folder, first_step, evaluated)
        self.writer = tf.summary.create_file_writer(str(folder)) if writes else tf.summary.create_noop_writer()
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
        self._write(done, {f"train/{name}": value for name, value in values.items() if np.isfinite(value)})
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
        """Writes the scalar figures, the JSON line last: where it stands, all of the evaluation is logged."""
        scalars = {name: value for name, value in figures.items() if isinstance(value, float)}
        self._write(done, {f"eval/{name}": value for name, value in scalars.items()}, flush=True)

    def _write(self, done, values, flush=False):
        with self.writer.as_default(step=done):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        if flush:
            self.flush()
        if self.metrics is not None:
            self.metrics.write(done, **values)

    def flush(self):
        """Puts into the files what was logged; to be called before a checkpoint is saved."""
        self.writer.flush()

    def close(self):
        """Flushes what was written."""
        self.writer.close()


def trim_events(folder, step, evaluated):
    """Takes out of a folder's event files what a run that goes on after `step` steps will log again.

    That is all after the step, what a killed run wrote half, and of the step itself everything but the training's
    scalars unless its evaluation was logged to its end.
    """

    def stays(event):
        training = all(value.tag.startswith("train/") for value in event.summary.value)
        return event.step < step or (event.step == step and (evaluated or training))

    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        if path.suffix == ".partial":
            path.unlink()
            continue
        events, whole = _read_events(path)
        kept = [event for event in events if stays(event)]
        if whole and len(kept) == len(events):
            continue
        partial = path.with_name(path.name + ".partial")
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for event in kept:
                writer.write(event.SerializeToString())
        partial.replace(path)


def _read_events(path):
    """The events of a file up to its end or to where it is broken off, and whether it is whole."""
    events = []
    try:
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            events.append(tf.compat.v1.Event.FromString(serialized))
    except tf.errors.DataLossError:
        return events, False
    return events, True
