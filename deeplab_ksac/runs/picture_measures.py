"""What is measured of a network, picture by picture, in counts that add up: docs/claims.md says what each means."""

import dataclasses
import functools
import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from car.pixels import labelled_pixels
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.layers import resize_bilinear
from deeplab_ksac.metrics import confusion_matrix
from deeplab_ksac.metrics.objects import PictureObject, find_objects, lies_inside_another, object_iou
from deeplab_ksac.metrics.paired import mean_ious, mean_object_ious
from deeplab_ksac.prediction.scores import most_likely, side_at_scale
from deeplab_ksac.runs.picture_features import PictureFeatures
from deeplab_ksac.training.cached_backbone import CachedForward

VAL, INSIDE, UNSEEN, SEEN = "animals/val", "animals_held_out/inside", "animals_held_out/unseen", "animals_held_out/seen"
SIZES = ("small", "usual", "large")
SMALL_BELOW, LARGE_FROM = 0.5, 1.5  # of the median size of the class in training
UNKNOWN_SCALES = (0.25, 0.375, 2.5, 3.0)  # training has 0.5 to 2


@dataclasses.dataclass(frozen=True)
class Seen:
    """A picture, and what a network says of it at one scale.

    Attributes:
        labels: int32 [H, W].
        classes: predicted, uint8 [H, W].
        features: that CAR would read, float32 [1, h, w, C].
        num_classes: K.
        median_sizes: [K] of the objects in training; 0 for a class without any.
    """

    labels: np.ndarray
    classes: np.ndarray
    features: np.ndarray
    num_classes: int
    median_sizes: np.ndarray

    @functools.cached_property
    def objects(self) -> list[PictureObject]:
        """Those of the labels."""
        return find_objects(self.labels, self.num_classes)

    def iou(self, one: PictureObject) -> float:
        """How well an object is found."""
        return object_iou(self.labels, self.classes, one, self.num_classes)

    def relative_size(self, one: PictureObject) -> float:
        """An object's size divided by the median of its class in training."""
        return one.size / max(self.median_sizes[one.label], 1.0)


def confusion(seen: Seen) -> np.ndarray:
    """The confusion matrix [K, K]."""
    return confusion_matrix(seen.labels, seen.classes, seen.num_classes).numpy()


def objects_by_size(seen: Seen) -> np.ndarray:
    """For small, usual and large objects of each class Σ IoU and their number: [3, K, 2]."""
    sums = np.zeros([len(SIZES), seen.num_classes, 2])
    for one in seen.objects:
        kind = np.searchsorted([SMALL_BELOW, LARGE_FROM], seen.relative_size(one), side="right")
        sums[kind, one.label] += seen.iou(one), 1
    return sums


def objects_inside(seen: Seen) -> np.ndarray:
    """For the objects of each class that lie inside another Σ IoU and their number: [K, 2]."""
    sums = np.zeros([seen.num_classes, 2])
    for one in seen.objects:
        if lies_inside_another(seen.labels, one, seen.num_classes):
            sums[one.label] += seen.iou(one), 1
    return sums


def feature_moments(seen: Seen) -> np.ndarray:
    """Of the features of each class Σ x [C], Σ |x|² and their number: [K, C + 2]."""
    whole = map(tf.convert_to_tensor, (seen.features, seen.labels[np.newaxis]))
    features, labels = labelled_pixels(*whole, seen.num_classes)
    features, labels = np.asarray(features, np.float64).reshape([-1, features.shape[-1]]), np.ravel(labels)
    each = np.concatenate([features, np.square(features).sum(1, keepdims=True), np.ones([len(features), 1])], axis=1)
    return (labels == np.arange(seen.num_classes)[:, np.newaxis]).astype(np.float64) @ each


def by_scale(points: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The mean over the scales, which are the first axis of one picture's counts: of counts [..., scales, K, K]."""
    return lambda sums: points(sums).mean(axis=-1)


def of_sizes(**coefficients: float) -> Callable[[np.ndarray], np.ndarray]:
    """A sum over the kinds of objects with coefficients, of sums [..., 1, 3, K, 2]."""
    factors = np.array([coefficients.get(name, 0.0) for name in SIZES])
    return lambda sums: mean_object_ious(sums[..., 0, :, :, :]) @ factors


def intra_class_variance(moments: np.ndarray) -> np.ndarray:
    """As `car.class_statistics`, of moments [..., 1, K, C + 2] -> [...]."""
    sums, squares, counts, centers = _centers(moments)
    channels = sums.shape[-1]
    variances = (squares / np.maximum(counts, 1) - np.square(centers).sum(axis=-1)) / channels
    return variances.sum(axis=-1) / np.maximum((counts > 0).sum(axis=-1), 1)


def center_similarity(moments: np.ndarray) -> np.ndarray:
    """As `car.class_statistics`, of moments [..., 1, K, C + 2] -> [...]."""
    _, _, counts, centers = _centers(moments)
    directions = centers / np.maximum(np.linalg.norm(centers, axis=-1, keepdims=True), 1e-12)
    present = (counts > 0).astype(float)
    different = present[..., :, None] * present[..., None, :] * (1 - np.eye(counts.shape[-1]))
    cosines = directions @ np.swapaxes(directions, -1, -2)
    return (cosines * different).sum(axis=(-1, -2)) / np.maximum(different.sum(axis=(-1, -2)), 1)


def _centers(moments):
    moments = np.asarray(moments, np.float64)[..., 0, :, :]
    sums, squares, counts = moments[..., :-2], moments[..., -2], moments[..., -1]
    return sums, squares, counts, sums / np.maximum(counts, 1)[..., np.newaxis]


@dataclasses.dataclass(frozen=True)
class Measure:
    """A figure of a network.

    Attributes:
        split: "data set/split" of the pictures.
        count: what is counted of a picture at one scale.
        points: sums of counts [..., scales, …] -> the figure [...]: in percent, but for those of features.
        scales: at which the pictures are seen, one after the other.
    """

    split: str
    count: Callable[[Seen], np.ndarray]
    points: Callable[[np.ndarray], np.ndarray]
    scales: tuple[float, ...] = (1.0,)


def _of_objects(sums):
    return mean_object_ious(sums[..., 0, :, :])


MEASURES = {
    "overall": Measure(VAL, confusion, by_scale(mean_ious)),
    "scales": Measure(VAL, confusion, by_scale(mean_ious), UNKNOWN_SCALES),
    **{size: Measure(VAL, objects_by_size, of_sizes(**{size: 1.0})) for size in SIZES},
    "unusual sizes": Measure(VAL, objects_by_size, of_sizes(small=0.5, usual=-1.0, large=0.5)),
    "inside": Measure(INSIDE, objects_inside, _of_objects),
    "unseen": Measure(UNSEEN, confusion, by_scale(mean_ious)),
    "seen": Measure(SEEN, confusion, by_scale(mean_ious)),
    "intra-class variance": Measure(VAL, feature_moments, intra_class_variance),
    "center similarity": Measure(VAL, feature_moments, center_similarity),
}


def median_sizes(split: str, data_dir: str | os.PathLike) -> np.ndarray:
    """The median size of the objects of each class of a split, [K]; 0 for a class without any."""
    which, sizes = Split.parse(split), defaultdict(list)
    num_classes = load_info(which.dataset, data_dir).num_classes
    for batch in eval_batches(which.dataset, which.name, data_dir=data_dir):
        for one in find_objects(batch["labels"][0].numpy(), num_classes):
            sizes[one.label].append(one.size)
    return np.array([statistics.median(sizes[label] or [0.0]) for label in range(num_classes)])


class CountingNetwork:
    """Counts what a network says of pictures whose features are kept.

    Args:
        model: as the features' model, with weights of its own behind the backbone.
        features: of the pictures.
        median_sizes: as `Seen`.
    """

    def __init__(self, model: keras.Model, features: PictureFeatures, median_sizes: np.ndarray):
        self.features, self.median_sizes = features, median_sizes
        self.num_classes = model.output["logits"].shape[-1]
        self._forward = CachedForward(model, features.levels)
        sizes = {"scaled": tf.TensorSpec([2], tf.int32), "size": tf.TensorSpec([2], tf.int32)}
        levels = {
            level: tf.TensorSpec([1, None, None, channels], tf.float16) for level, channels in features.levels.items()
        }
        # traced once: TensorFlow warns where a process has many functions, as a study has networks
        self._see = tf.function(self._seen, [levels, sizes], autograph=False).get_concrete_function()

    def counts(self, measures: Mapping[str, Measure]) -> dict[str, np.ndarray]:
        """{name of a measure: its counts [pictures, scales, …]}."""
        found = {}
        for split in {measure.split: None for measure in measures.values()}:
            own = {name: measure for name, measure in measures.items() if measure.split == split}
            wanted = {(measure.count, scale): [] for measure in own.values() for scale in measure.scales}
            for views in self._views(split, sorted({scale for _, scale in wanted})):
                for (count, scale), counts in wanted.items():
                    counts.append(count(views[scale]))
            for name, measure in own.items():
                found[name] = np.stack([wanted[measure.count, scale] for scale in measure.scales], axis=1)
        return found

    def _views(self, split: str, scales: Sequence[float]) -> Iterator[dict[float, Seen]]:
        """{scale: what the network says} of every picture."""
        for labels, by_scale in self.features.pictures(split, scales):
            views = {}
            for scale, levels in by_scale.items():
                scaled = [side_at_scale(side, scale) for side in labels.shape]
                sizes = {"scaled": tf.constant(scaled), "size": tf.constant(labels.shape)}
                classes, features = self._see(tf.nest.map_structure(tf.constant, levels), sizes)
                classes, features = classes.numpy(), features.numpy()
                views[scale] = Seen(labels, classes, features, self.num_classes, self.median_sizes)
            yield views

    def _seen(self, levels, sizes):
        shape = tf.concat([[1], sizes["scaled"]], axis=0)
        outputs = self._forward({**levels, "labels": tf.zeros(shape, tf.int32)}, training=False)
        logits = resize_bilinear(tf.cast(outputs["logits"], tf.float32), sizes["size"])
        return most_likely(logits)[0], tf.cast(outputs["features"], tf.float32)
