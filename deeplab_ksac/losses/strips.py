"""Losses of pixels from logits that are still small: they are brought to the labels' size strip by strip.

Logits at the size of an image, and their gradient, are most of what training a small network holds: 2.7 GiB each for 16
images of 513×513 pixels and 171 classes. A loss of pixels needs a pixel at a time. So the rows of the result are
interpolated once, at the small width, and then a few of them at a time are brought to their width, and loss and
gradient are taken: the gradient comes with the loss, and no pixel is interpolated twice. The results are those of the
whole map to rounding.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.tensor_ops.maps import resize_bilinear

STRIP_BYTES = 4 * 2**20  # of logits in a strip, about what the caches of a core hold; 1 and 16 MiB were slower
ITEM_BYTES = 4  # of float32

PerPixel = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # logits [N, H, W, K], labels [N, H, W] -> losses [N, H, W]


@dataclasses.dataclass(frozen=True)
class Strips:
    """How a map of logits [N, h, w, K] becomes one of [N, H, W, K] in strips of whole rows, of all images in turn.

    Attributes:
        small, large: the shapes [N, h, w, K] and [N, H, W, K].
    """

    small: tuple[int, int, int, int]
    large: tuple[int, int, int, int]

    @classmethod
    def between(cls, logits: tf.Tensor, labels: tf.Tensor) -> "Strips | None":
        """Those that bring logits [N, h, w, K] to the size of labels [N, H, W].

        None where one strip would hold all, and where a size is not known.
        """
        small, sizes = logits.shape, labels.shape
        if not (small.is_fully_defined() and sizes.is_fully_defined()):
            return None
        strips = cls(tuple(small), (*sizes, small[-1]))
        return strips if strips.count > 1 else None

    @property
    def count(self) -> int:
        """How many strips there are."""
        number, height, width, classes = self.large
        rows = max(1, STRIP_BYTES // (width * classes * ITEM_BYTES))
        return -(-number * height // rows)

    @property
    def rows(self) -> int:
        """How many rows a strip has; the last may be filled up."""
        return -(-self.large[0] * self.large[1] // self.count)

    def cut(self, values: tf.Tensor) -> tf.Tensor:
        """[N, H, …] -> [strips, rows of a strip, …], filled up with zeros."""
        number, height = self.large[:2]
        rest = tuple(values.shape[2:])
        missing = self.count * self.rows - number * height
        filled = tf.pad(tf.reshape(values, [number * height, *rest]), [[0, missing], *[[0, 0] for _ in rest]])
        return tf.reshape(filled, [self.count, self.rows, *rest])

    def join(self, strips: tf.Tensor) -> tf.Tensor:
        """What `cut` has cut, as it was."""
        number, height = self.large[:2]
        rest = tuple(strips.shape[2:])
        rows = tf.reshape(strips, [self.count * self.rows, *rest])[: number * height]
        return tf.reshape(rows, [number, height, *rest])

    def tall(self, logits: tf.Tensor) -> tf.Tensor:
        """[N, h, w, K] -> [strips, rows of a strip, w, K]: the rows are interpolated, their pixels not yet."""
        return self.cut(resize_bilinear(logits, (self.large[1], self.small[2])))

    def wide(self, strip: tf.Tensor) -> tf.Tensor:
        """A strip [rows, w, K] -> [1, rows, W, K]."""
        rows = tf.reshape(strip, [self.rows, 1, *self.small[2:]])  # each a map of its own: none mixes with another
        return tf.reshape(resize_bilinear(rows, (1, self.large[2])), [1, self.rows, *self.large[2:]])

    def losses(self, function: PerPixel, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The function's losses of the logits at the labels' size, [N, H, W]; they have no gradient.

        Args:
            function: treats every pixel alike.
            logits: [N, h, w, K] float32.
            labels: [N, H, W] in 0…K-1.
        """

        def of_strip(strip):
            rows, own = strip
            return function(self.wide(rows), own[tf.newaxis])[0]

        signature = tf.TensorSpec([self.rows, self.large[2]])
        parts = (tf.stop_gradient(self.tall(logits)), self.cut(labels))
        return self.join(tf.map_fn(of_strip, parts, fn_output_signature=signature))

    def weighted_sum(self, function: PerPixel, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Σ weights · losses, a scalar: `losses` as above, with a gradient by the logits and by nothing else.

        Args:
            function, logits, labels: as `losses`.
            weights: [N, H, W] float32.
        """

        def of_strip(strip):
            rows, own, factors = strip
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(rows)
                total = tf.reduce_sum(function(self.wide(rows), own[tf.newaxis])[0] * factors)
            return total, tape.gradient(total, rows)

        @tf.custom_gradient
        def summed(logits):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(logits)
                tall = self.tall(logits)
            signature = (tf.TensorSpec([]), tf.TensorSpec(tall.shape[1:]))
            parts = (tall, self.cut(labels), self.cut(weights))
            totals, gradients = tf.map_fn(of_strip, parts, fn_output_signature=signature)
            gradient = tape.gradient(tall, logits, gradients)
            return tf.reduce_sum(totals), lambda upstream: upstream * gradient

        return summed(logits)
