"""What a stage logs, to TensorBoard events and JSON lines: speed, losses, evaluations, pictures; nothing twice.

Events and lines are written by two listeners, which stand around those of the caller: TensorBoard's is told first, and
the one of metrics.jsonl last, since its line of an evaluation says that the evaluation was told to its end.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from deeplab_ksac.storage import Place, place
from deeplab_ksac.storage.copies import Mirror, on_this_machine, tensorflow_opens
from deeplab_ksac.training.listeners import EvaluationResult, Listener, StageStart
from deeplab_ksac.training.optimizers import GroupedOptimizer
from deeplab_ksac.whole_files import write_whole

RECORD_BYTES = 16  # of a TFRecord beside its content: the length, 8, and two checksums, 4 each


class TensorBoardEvents(Listener):
    """Writes events of the scalars and pictures into the stage's folder.

    What an earlier run logged after the checkpoint that this one continues from is removed first.
    """

    def on_stage(self, start: StageStart) -> None:
        folder = stage_dir(start.workdir, start.stage)
        trim_events(folder, start.step, start.evaluated)
        self.mirror = None if tensorflow_opens(folder) else Mirror(folder)
        self.writer = tf.summary.create_file_writer(str(folder if self.mirror is None else self.mirror.here))

    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        self._write(step, _of_training(values))

    def on_evaluation(self, step: int, result: EvaluationResult) -> None:
        with self.writer.as_default(step=step):
            for number, picture in enumerate(result.pictures):
                tf.summary.image(f"pictures/{number}", picture[np.newaxis])
        self._write(step, result.scalars())
        self.flush()

    def flush(self) -> None:
        self.writer.flush()
        if self.mirror is not None:
            self.mirror.update()

    def on_stage_end(self, finished: bool) -> None:
        self.writer.close()
        if self.mirror is not None:
            self.mirror.update()

    def _write(self, step, values):
        with self.writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)


class MetricsLines(Listener):
    """Writes the scalars as lines of metrics.jsonl; a resumed run goes on after the step that it was resumed from."""

    def on_stage(self, start: StageStart) -> None:
        self.metrics = MetricsLog(start.workdir, start.stage, start.step)

    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        self.metrics.write(step, **_of_training(values))

    def on_evaluation(self, step: int, result: EvaluationResult) -> None:
        self.metrics.write(step, **result.scalars())


def _of_training(values):
    return {f"train/{name}": value for name, value in values.items()}


class StageLog:
    """The logs of a stage from a step on; of several workers one writes.

    Args:
        workdir, index: the run's folder, and the stage in it.
        first_step: steps that were done before.
        evaluated: whether the evaluation after `first_step` was logged to its end.
        writes: whether this worker writes.
        listeners: are told too.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        index: int,
        first_step: int,
        *,
        evaluated: bool,
        writes: bool,
        listeners: Sequence[Listener] = (),
    ):
        self.listeners = [TensorBoardEvents(), *listeners, MetricsLines()] if writes else []
        for listener in self.listeners:
            listener.on_stage(StageStart(workdir, index, first_step, evaluated))
        self.logged, self.finished = first_step, False
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
        """Tells the terms, learning rate, images per second and share of time spent waiting for data.

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
        for listener in self.listeners:
            listener.on_step(done, {name: value for name, value in values.items() if np.isfinite(value)})
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

    def write_evaluation(self, done: int, result: EvaluationResult) -> None:
        """Tells what was found after so many steps; its JSON line is written last."""
        for listener in self.listeners:
            listener.on_evaluation(done, result)

    def write_checkpoint(self, done: int, path: Place) -> None:
        """Tells that a checkpoint is complete."""
        for listener in self.listeners:
            listener.on_checkpoint(done, path)

    def flush(self) -> None:
        """Puts into the files what was logged; to be called before a checkpoint is saved."""
        for listener in self.listeners:
            listener.flush()

    def close(self) -> None:
        """Flushes what was written, and tells of the end: a finished stage's, where `finished` was set."""
        with contextlib.ExitStack() as ends:
            for listener in self.listeners:
                ends.callback(listener.on_stage_end, self.finished)


def evaluation_pictures(
    model: keras.Model, batches: Iterable, info: DatasetInfo, views: Views, *, count: int = 4
) -> list[np.ndarray]:
    """Image | truth | prediction of the first images of a split: uint8 [H, 3 · W, 3] each.

    Args:
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
    pictures = []
    for image, labels in itertools.islice(images, count):
        classes = predict_classes(model, image, views)[0].numpy()
        picture = to_bytes(as_rgb(image[0].numpy(), info.bands))
        panels = [picture, colorize(labels, info.colors), colorize(classes, info.colors)]
        pictures.append(np.concatenate(panels, axis=1))
    return pictures


def trim_events(folder: str | os.PathLike, step: int, evaluated: bool) -> None:
    """Removes from a folder's event files what a run that continues after `step` steps will log again.

    That is all after the step, what a killed run wrote half, and of the step itself everything but the training's
    scalars unless its evaluation was logged to its end.
    """

    def stays(event):
        training = all(value.tag.startswith("train/") for value in event.summary.value)
        return event.step < step or (event.step == step and (evaluated or training))

    for path in place(folder).glob("*tfevents*.partial"):  # a run was killed here; TensorBoard would read it
        path.unlink()
    for path in sorted(place(folder).glob("events.out.tfevents.*")):
        content = path.read_bytes()
        kept = b"".join(record for event, record in _events(path, content) if stays(event))
        if kept != content:
            write_whole(path, kept)


def _events(path, content):
    """(event, the bytes that hold it) in an event file, up to its end or to where it is broken off."""
    start = 0
    with contextlib.suppress(tf.errors.DataLossError), on_this_machine(path) as here:
        for serialized in tf.data.TFRecordDataset(str(here)).as_numpy_iterator():
            end = start + len(serialized) + RECORD_BYTES
            yield tf.compat.v1.Event.FromString(serialized), content[start:end]
            start = end
