"""What a stage logs, to TensorBoard events and JSON lines: speed, losses, evaluations, pictures; nothing twice."""

import contextlib
import itertools
import os
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.figures.colors import colorize, to_bytes
from deeplab_ksac.prediction.scores import predict_classes
from deeplab_ksac.runs.places import stage_dir
from deeplab_ksac.runs.workdir import MetricsLog
from deeplab_ksac.training.optimizers import GroupedOptimizer
from deeplab_ksac.whole_files import write_whole

RECORD_BYTES = 16  # of a TFRecord beside its content: the length, 8, and two checksums, 4 each


class StageLog:
    """The logs of a stage from a step on; of several workers one writes.

    What an earlier run logged after the checkpoint that this one continues from is removed first.

    Args:
        workdir, index: the run's folder, and the stage in it.
        first_step: steps that were done before.
        evaluated: whether the evaluation after `first_step` was logged to its end.
        writes: whether this worker writes.
    """

    def __init__(self, workdir: str | os.PathLike, index: int, first_step: int, *, evaluated: bool, writes: bool):
        folder = stage_dir(workdir, index)
        if writes:
            trim_events(folder, first_step, evaluated)
        self.writer = tf.summary.create_file_writer(str(folder)) if writes else tf.summary.create_noop_writer()
        self.metrics = MetricsLog(workdir, index, first_step) if writes else None
        self.logged = first_step
        self.waited, self.since = 0.0, time.perf_counter()

    def timed_next(self, batches: Iterator) -> Any:
        """The next batch; how long it was waited for is counted."""
        start = time.perf_counter()
        batch = next(batches)
        self.waited += time.perf_counter() - start
        return batch

    def write_training(
        self, done: int, terms: dict[str, float], batch_size: int, optimizer: GroupedOptimizer
    ) -> dict[str, str]:
        """Writes the terms, learning rate, images per second and share of time spent waiting for data.

        Returns:
            What of it is worth showing while the run goes on.
        """
        elapsed = time.perf_counter() - self.since
        speed = (done - self.logged) * batch_size / elapsed
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
    def paused(self) -> Iterator[None]:
        """What happens inside does not count as time of training."""
        start = time.perf_counter()
        yield
        self.since += time.perf_counter() - start

    def write_pictures(
        self, done: int, model: keras.Model, batches: Iterable, info: DatasetInfo, views: Views, *, count: int = 4
    ) -> None:
        """Writes image | truth | prediction of the first images of a split, for TensorBoard.

        Args:
            done: steps.
            model, views: as `predict_classes`; the evaluation's views fit where the whole image does not.
            batches: of {"image", "labels"}.
            info: with the colors of the classes and the bands of the images.
            count: how many images.
        """
        images = (
            (batch["image"][index : index + 1], batch["labels"][index].numpy())
            for batch in batches
            for index in range(batch["image"].shape[0])
        )
        with self.writer.as_default(step=done):
            for number, (image, labels) in enumerate(itertools.islice(images, count)):
                classes = predict_classes(model, image, views)[0].numpy()
                picture = to_bytes(as_rgb(image[0].numpy(), info.bands))
                panels = [picture, colorize(labels, info.colors), colorize(classes, info.colors)]
                tf.summary.image(f"pictures/{number}", np.concatenate(panels, axis=1)[np.newaxis])

    def write_evaluation(self, done: int, figures: dict[str, Any], whole: dict[str, Any] | None = None) -> None:
        """Writes the scalar figures, the JSON line last: where that line is, the evaluation is logged completely.

        Args:
            done: steps.
            figures: of the evaluation during training: "eval/miou" …
            whole: where that takes a part of the split, those of all of it after the last step: "eval_whole/miou" …
        """
        several = {"eval": figures} if whole is None else {"eval": figures, "eval_whole": whole}
        scalars = {
            f"{kind}/{name}": value
            for kind, found in several.items()
            for name, value in found.items()
            if isinstance(value, float)
        }
        self._write(done, scalars, flush=True)

    def _write(self, done, values, flush=False):
        with self.writer.as_default(step=done):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        if flush:
            self.flush()
        if self.metrics is not None:
            self.metrics.write(done, **values)

    def flush(self) -> None:
        """Puts into the files what was logged; to be called before a checkpoint is saved."""
        self.writer.flush()

    def close(self) -> None:
        """Flushes what was written."""
        self.writer.close()


def trim_events(folder: str | os.PathLike, step: int, evaluated: bool) -> None:
    """Removes from a folder's event files what a run that continues after `step` steps will log again.

    That is all after the step, what a killed run wrote half, and of the step itself everything but the training's
    scalars unless its evaluation was logged to its end.
    """

    def stays(event):
        training = all(value.tag.startswith("train/") for value in event.summary.value)
        return event.step < step or (event.step == step and (evaluated or training))

    for path in pathlib.Path(folder).glob("*tfevents*.partial"):  # a run was killed here; TensorBoard would read it
        path.unlink()
    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        content = path.read_bytes()
        kept = b"".join(record for event, record in _events(path, content) if stays(event))
        if kept != content:
            write_whole(path, kept)


def _events(path, content):
    """(event, the bytes that hold it) in an event file, up to its end or to where it is broken off."""
    start = 0
    with contextlib.suppress(tf.errors.DataLossError):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            end = start + len(serialized) + RECORD_BYTES
            yield tf.compat.v1.Event.FromString(serialized), content[start:end]
            start = end
