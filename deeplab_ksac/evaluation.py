"""Evaluating a model on a whole split: one confusion matrix, counted where the model runs."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac import metrics
from deeplab_ksac.experiment import Views
from deeplab_ksac.metrics import boundaries
from deeplab_ksac.prediction import scores

LABELS_SPEC = tf.TensorSpec([None, None, None], tf.int32, name="labels")
COUNT_SPEC = tf.TensorSpec([], tf.int64, name="images")


class Evaluator:
    """A model's evaluation, compiled once: call it on batches as often as wanted (say, during training).

    Every replica counts into its own [K, K] matrix; they are summed once, at the end, over all workers. Batches
    may differ in size, and the last ones may be fewer than the replicas: what a replica then sees is counted as
    ignored.

    Args:
        model: image [N, H, W, C] -> {"logits", …}, built in the strategy's scope; only the logits are
            computed.
        num_classes: K.
        views: how the model sees the images.
        boundary_tolerance: of the boundary F-score, see `boundary_counts`; None leaves it out.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Raises:
        ValueError: the model predicts another number of classes; a tolerance that is not positive, or one for more than
            254 classes.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        num_classes: int,
        views: Views = Views(),
        boundary_tolerance: float | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        predicted = model.output["logits"].shape[-1]
        if predicted not in (None, num_classes):
            raise ValueError(f"the model predicts {predicted} classes, not {num_classes}")
        if boundary_tolerance is not None:
            boundaries.check_tolerance(boundary_tolerance)
            boundaries.check_num_classes(num_classes)
        self.num_classes, self.boundary_tolerance = num_classes, boundary_tolerance
        self.strategy = strategy or tf.distribute.get_strategy()
        self._views, self._image_spec = views, scores.image_spec(model)
        with self.strategy.scope():
            self._forward = scores.logits_function(model)
            self._counts = _sum_over_replicas([num_classes, num_classes], "confusion_matrix")
            self._images = _sum_over_replicas([], "images")
            self._boundaries = _sum_over_replicas([len(boundaries.COUNTS), num_classes], "boundaries")
        self._reset = tf.function(lambda: self.strategy.run(self._reset_replica), autograph=False)
        self._local_replicas = len(self.strategy.experimental_local_results(self._reset()))
        self._count = tf.function(self._count_on_replicas, self._signature(), autograph=False)

    def __call__(self, batches: Iterable[Mapping], *, progress: Any = None) -> dict:
        """Evaluates the model on `batches` of {"image" [b, H, W, C] float32, "labels" [b, H, W] int32}.

        Args:
            batches: an iterable of batches (this worker's share of them), such as a `tf.data.Dataset`.
            progress: something with `update(n)`, called for every n images.

        Returns:
            The dict of `summarize`; "images": how many were seen by all workers; with a boundary tolerance
            "boundary_f_score" (the mean over the classes that have one) and "boundary_f_scores" (per class).

        Raises:
            ValueError: if there is no batch.
        """
        self._reset()
        for group in _groups(batches, self._local_replicas):
            self._count(*self._padded(group))
            if progress is not None:
                progress.update(sum(len(batch["labels"]) for batch in group))
        images = int(self._images.read_value())
        if not images:
            raise ValueError("nothing to evaluate: there are no batches")
        return {**summarize(self.confusion_matrix()), "images": images, **self._boundary_figures()}

    def confusion_matrix(self) -> np.ndarray:
        """What the last call counted, over all replicas: int64 array [K, K], rows the truth."""
        return self._counts.read_value().numpy()

    def _boundary_figures(self):
        if self.boundary_tolerance is None:
            return {}
        found = metrics.boundary_f_scores(self._boundaries.read_value().numpy())
        mean = float(np.nanmean(found)) if not np.isnan(found).all() else math.nan
        return {"boundary_f_score": mean, "boundary_f_scores": found.tolist()}

    def _signature(self):
        """Batches of every size in one trace; on a TPU a trace for each size, for XLA wants it known."""
        if isinstance(self.strategy, tf.distribute.TPUStrategy):
            return None
        return tuple((spec,) * self._local_replicas for spec in (self._image_spec, LABELS_SPEC, COUNT_SPEC))

    def _reset_replica(self):
        for counted in (self._counts, self._images, self._boundaries):
            counted.assign(tf.zeros_like(counted))
        return tf.constant(0)

    def _count_on_replicas(self, images, labels, counts):
        """Counts a batch on each local replica: tuples of as many tensors."""
        distributed = tuple(self._one_each(values) for values in (images, labels, counts))
        self.strategy.run(self._count_on_replica, args=distributed)

    def _count_on_replica(self, image, labels, count):
        classes = scores.predict_classes(self._forward, image, self._views)
        self._counts.assign_add(metrics.confusion_matrix(labels, classes, self.num_classes))
        self._images.assign_add(count)
        if self.boundary_tolerance is not None:
            counts = metrics.boundary_counts(labels, classes, self.num_classes, self.boundary_tolerance)
            self._boundaries.assign_add(counts)

    def _one_each(self, values):
        values = iter(values)
        return self.strategy.experimental_distribute_values_from_function(lambda context: next(values))

    def _padded(self, group):
        """(images, labels, counts) for each local replica; those beyond the group have all labels ignored."""
        images = [tf.convert_to_tensor(batch["image"]) for batch in group]
        labels = [tf.cast(batch["labels"], tf.int32) for batch in group]
        counts = [int(image.shape[0]) for image in images]
        for _ in range(self._local_replicas - len(group)):
            images.append(images[0])
            labels.append(tf.fill(labels[0].shape, self.num_classes))
            counts.append(0)
        return tuple(images), tuple(labels), tuple(tf.constant(count, tf.int64) for count in counts)


def _sum_over_replicas(shape, name):
    return tf.Variable(
        tf.zeros(shape, tf.int64),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
        name=name,
    )


def evaluate(
    model: keras.Model,
    batches: Iterable[Mapping],
    *,
    num_classes: int,
    views: Views = Views(),
    boundary_tolerance: float | None = None,
    strategy: tf.distribute.Strategy | None = None,
    progress: Any = None,
) -> dict:
    """Evaluates a model on a split, once: what an `Evaluator` of these arguments gives for `batches`."""
    evaluator = Evaluator(
        model, num_classes=num_classes, views=views, boundary_tolerance=boundary_tolerance, strategy=strategy
    )
    return evaluator(batches, progress=progress)


def summarize(matrix: np.ndarray) -> dict:
    """The figures of a confusion matrix [K, K] by name.

    "miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou": floats in 0 … 1. "iou", "accuracy": a
    float per class, NaN where the class is absent (neither true nor predicted; for "accuracy" not true).
    "share": each class's share of the labeled pixels, "predicted_share" of their predictions. "pixels": how many
    those are.
    """
    return {
        "miou": metrics.mean_iou(matrix),
        "iou": metrics.intersection_over_union(matrix).tolist(),
        "pixel_accuracy": metrics.pixel_accuracy(matrix),
        "mean_accuracy": metrics.mean_accuracy(matrix),
        "accuracy": metrics.class_accuracy(matrix).tolist(),
        "frequency_weighted_iou": metrics.frequency_weighted_iou(matrix),
        "share": metrics.class_shares(matrix).tolist(),
        "predicted_share": metrics.class_shares(np.transpose(matrix)).tolist(),
        "pixels": int(matrix.sum()),
    }


def _groups(batches, size):
    """Up to `size` batches at a time, until there are no more."""
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group
