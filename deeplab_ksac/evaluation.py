"""Judging a model on a whole split: one confusion matrix, counted where the model runs."""

import itertools

import tensorflow as tf

from deeplab_ksac import inference, metrics

LABELS_SPEC = tf.TensorSpec([None, None, None], tf.int32, name="labels")


class Evaluator:
    """A model's evaluation, compiled once: call it on batches as often as wanted (say, during training).

    Every replica counts into its own [K, K] matrix; they are summed once, at the end. Batches may differ in
    size, and the last ones may be fewer than the replicas: what a replica then sees is counted as ignored.

    Args:
        model: image [N, H, W, 3] -> {"logits", …}, built in the strategy's scope; only the logits are
            computed.
        num_classes: K.
        scales, flip, window, average: as `inference.predict_classes`.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Raises:
        ValueError: for scales, a window or an average that `inference` refuses.
    """

    def __init__(self, model, *, num_classes, scales=(1.0,), flip=False, window=None, average="logits", strategy=None):
        inference.check_views(scales, window)
        inference.check_average(average)
        self.num_classes = num_classes
        self.strategy = strategy or tf.distribute.get_strategy()
        self._views = {"scales": tuple(scales), "flip": flip, "window": window, "average": average}
        with self.strategy.scope():
            self._forward = inference.logits_function(model)
            self._counts = tf.Variable(
                tf.zeros([num_classes, num_classes], tf.int64),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
                name="confusion_matrix",
            )
        self._reset = tf.function(lambda: self.strategy.run(self._reset_replica), autograph=False)
        self._local_replicas = len(self.strategy.experimental_local_results(self._reset()))
        self._count = tf.function(self._count_on_replicas, self._signature(), autograph=False)

    def __call__(self, batches, *, progress=None):
        """Judges the model on `batches` of {"image" [b, H, W, 3] float32, "labels" [b, H, W] int32}.

        Args:
            batches: an iterable of batches (this worker's share of them), such as a `tf.data.Dataset`.
            progress: something with `update(n)`, told of every batch.

        Returns:
            The dict of `summarize`, and "images": how many were seen by this worker.

        Raises:
            ValueError: if there is no batch.
        """
        self._reset()
        images = 0
        for group in _groups(batches, self._local_replicas):
            self._count(*self._padded(group))
            images += sum(int(batch["image"].shape[0]) for batch in group)
            if progress is not None:
                progress.update(len(group))
        if not images:
            raise ValueError("nothing to evaluate: there is no batch")
        return {**summarize(self.confusion_matrix()), "images": images}

    def confusion_matrix(self):
        """What the last call counted, over all replicas: int64 array [K, K], rows the truth."""
        return self._counts.read_value().numpy()

    def _signature(self):
        """Batches of every size in one trace; on a TPU a trace for each size, for XLA wants it known."""
        if isinstance(self.strategy, tf.distribute.TPUStrategy):
            return None
        return tuple((spec,) * self._local_replicas for spec in (inference.IMAGE_SPEC, LABELS_SPEC))

    def _reset_replica(self):
        self._counts.assign(tf.zeros_like(self._counts))
        return tf.constant(0)

    def _count_on_replicas(self, images, labels):
        """Counts a batch on each local replica: tuples of as many tensors."""
        distributed = tuple(self._one_each(values) for values in (images, labels))
        self.strategy.run(self._count_on_replica, args=distributed)

    def _count_on_replica(self, image, labels):
        classes = inference.predict_classes(self._forward, image, **self._views)
        self._counts.assign_add(metrics.confusion_matrix(labels, classes, self.num_classes))

    def _one_each(self, values):
        values = iter(values)
        return self.strategy.experimental_distribute_values_from_function(lambda context: next(values))

    def _padded(self, group):
        """(images, labels) of a batch for each local replica; those beyond the group have all labels ignored."""
        images = [tf.convert_to_tensor(batch["image"]) for batch in group]
        labels = [tf.cast(batch["labels"], tf.int32) for batch in group]
        for _ in range(self._local_replicas - len(group)):
            images.append(images[0])
            labels.append(tf.fill(labels[0].shape, self.num_classes))
        return tuple(images), tuple(labels)


def evaluate(model, batches, *, num_classes, progress=None, **options):
    """Judges a model on a split, once: the result of `Evaluator(model, num_classes=…, **options)(batches)`.

    Options: scales, flip, window, average, strategy. Single scale by default.
    """
    return Evaluator(model, num_classes=num_classes, **options)(batches, progress=progress)


def summarize(matrix):
    """The figures of a confusion matrix [K, K] by name.

    "miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou": floats in 0 … 1. "iou", "accuracy": a
    float per class, NaN where the class is absent (neither true nor predicted; for "accuracy" not true).
    "share": each class's share of the labeled pixels. "pixels": how many those are.
    """
    return {
        "miou": metrics.mean_iou(matrix),
        "iou": metrics.intersection_over_union(matrix).tolist(),
        "pixel_accuracy": metrics.pixel_accuracy(matrix),
        "mean_accuracy": metrics.mean_accuracy(matrix),
        "accuracy": metrics.class_accuracy(matrix).tolist(),
        "frequency_weighted_iou": metrics.frequency_weighted_iou(matrix),
        "share": metrics.class_shares(matrix).tolist(),
        "pixels": int(matrix.sum()),
    }


def _groups(batches, size):
    """Up to `size` batches at a time, until there are no more."""
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group
