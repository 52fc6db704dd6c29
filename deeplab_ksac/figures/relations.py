"""How pixels and classes relate in a feature map: what Figs. 4.4 to 4.7 show, as arrays."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from car.centers import sum_by_class
from deeplab_ksac.tensor_ops.maps import resize_labels


def feature_pixel(point: tuple[int, int], image_size: tuple[int, int], map_size: tuple[int, int]) -> tuple[int, int]:
    """The pixel of a feature map that shows a point of the image, corners aligned: (row, column).

    Args:
        point: (row, column) in the image.
        image_size: (H, W).
        map_size: (h, w).

    Raises:
        ValueError: a point outside the image.
    """
    if not all(0 <= place < length for place, length in zip(point, image_size, strict=True)):
        height, width = image_size
        raise ValueError(f"the point {tuple(point)} lies outside the image of {height} rows and {width} columns")
    return tuple(
        round(place * (there - 1) / max(here - 1, 1))
        for place, here, there in zip(point, image_size, map_size, strict=True)
    )


def pixel_relation(features: ArrayLike, pixel: tuple[int, int]) -> np.ndarray:
    """Scalar products of one pixel's feature with those of all pixels (Fig. 4.4), each brought to length 1 first.

    Differs from the thesis, which shows the products as they are: with features of length 1 no pixel can be more
    similar to the chosen one than itself, and two models share one scale.

    Args:
        features: [h, w, C].
        pixel: (row, column) of the map.

    Returns:
        float32 [h, w] in −1 … 1; 1 at `pixel`, 0 where a feature is 0.
    """
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=-1, keepdims=True)
    directions = features / np.where(lengths > 0, lengths, 1)
    return directions @ directions[tuple(pixel)]


class ClassDependency:
    """The K×K map of Fig. 4.5, gathered batch by batch over a split.

    What is kept is the sum of the features of each class and the number of its pixels: O(K·C), whatever the number of
    images.

        dependency = ClassDependency(num_classes)
        for batch in batches:
            dependency.update(features(batch["image"]), batch["labels"])
        dependency.map()  # [K, K]

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.sums, self.counts = None, np.zeros([num_classes], np.int64)

    def update(self, features: ArrayLike | tf.Tensor, labels: ArrayLike | tf.Tensor) -> None:
        """Adds a batch: features [N, h, w, C], labels [N, H, W] (resized to the map as CAR does, 255 ignored)."""
        sums, counts = self._gather(tf.convert_to_tensor(features), tf.convert_to_tensor(labels))
        self.sums = sums.numpy().astype(np.float64) + (0 if self.sums is None else self.sums)
        self.counts += counts.numpy()

    @tf.function(reduce_retracing=True)
    def _gather(self, features, labels):
        shape = tf.shape(features)
        labels = tf.reshape(resize_labels(tf.cast(labels, tf.int32), shape[1:3]), [1, -1])
        values = tf.reshape(tf.cast(features, tf.float32), [1, -1, features.shape[-1]])
        counts = tf.math.bincount(
            tf.minimum(labels[0], self.num_classes), minlength=self.num_classes + 1, dtype=tf.int64
        )
        return sum_by_class(values, labels, self.num_classes)[0], counts[:-1]

    def centers(self) -> np.ndarray:
        """The center of each class (Eq. 4.1): float64 [K, C]; NaN for a class that did not occur."""
        if self.sums is None:
            raise ValueError("no batch was added: there are no centers")
        return self.sums / np.where(self.counts > 0, self.counts, np.nan)[:, np.newaxis]

    def map(self) -> np.ndarray:
        """Scalar products of the class centers, each brought to length 1: float64 [K, K] in −1 … 1, NaN where absent.

        1 on the diagonal; 0 means that two classes do not depend on each other.
        """
        centers = self.centers()
        lengths = np.linalg.norm(centers, axis=-1, keepdims=True)
        directions = centers / np.where(lengths > 0, lengths, 1)
        return directions @ directions.T


def off_diagonal_mean(dependency: np.ndarray) -> float:
    """The mean similarity of different classes that both occur; NaN where fewer than two do."""
    others = dependency[~np.eye(len(dependency), dtype=bool)]
    return float(np.nanmean(others)) if np.isfinite(others).any() else float("nan")


def largest_disagreement(
    predictions: Sequence[ArrayLike], *, truth: ArrayLike | None = None, size: tuple[int, int] | None = None
) -> tuple[int, int, int, int] | None:
    """The window in which several predictions differ most from each other (or, with a truth, in being right).

    A single prediction differs where it is wrong; without a truth nowhere.

    Args:
        predictions: integers, each [H, W].
        truth: integers [H, W]; what is not labeled (255) does not count.
        size: (height, width) of the window; a third of the image where not given.

    Returns:
        (top, left, height, width) in pixels; None where nothing differs.
    """
    predictions = np.stack([np.asarray(prediction) for prediction in predictions])
    if truth is None:
        differs = (predictions != predictions[:1]).any(axis=0)
    else:
        right = predictions == np.asarray(truth)
        differs = ~right[0] if len(right) == 1 else (right != right[:1]).any(axis=0)
        differs &= np.asarray(truth) != 255
    if not differs.any():
        return None
    limits = differs.shape
    height, width = (min(a, b) for a, b in zip(size or [max(n // 3, 1) for n in limits], limits, strict=True))
    table = np.pad(differs.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    inside = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return int(top), int(left), height, width
