"""Pooling whose window is spread by an atrous rate: what a strided pooling becomes in a dense network."""

import functools
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras


@keras.saving.register_keras_serializable("deeplab_ksac")
class AtrousPooling2D(keras.layers.Layer):
    """Maximum or mean over pool_size × pool_size pixels, `atrous_rate` apart, at every pixel: [N, h, w, C] -> the same.

    The window is centered (an even one leans to the bottom right, as "same" pooling does at odd sizes); pixels outside
    the map take no part, neither in the maximum nor in the mean.

    Args:
        pool_size: side of the window, in taps.
        atrous_rate: distance of the taps, in pixels.
        reduction: "max" or "mean".

    Raises:
        ValueError: another reduction.
    """

    def __init__(self, pool_size: int, atrous_rate: int = 1, *, reduction: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reduction not in ("max", "mean"):
            raise ValueError(f"reduction must be 'max' or 'mean', not {reduction!r}")
        self.pool_size, self.atrous_rate, self.reduction = pool_size, atrous_rate, reduction

    def call(self, features: tf.Tensor) -> tf.Tensor:
        if self.reduction == "max":
            return self._combine(features, tf.maximum, features.dtype.min)
        counts = self._combine(tf.ones_like(features[:1, :, :, :1]), tf.add, 0)
        return self._combine(features, tf.add, 0) / counts

    def _combine(self, x, operation, outside):
        """The window's taps combined, first along the columns, then along the rows."""
        for axis in (1, 2):
            length = tf.shape(x)[axis]
            before = (self.pool_size - 1) // 2 * self.atrous_rate
            after = (self.pool_size - 1) * self.atrous_rate - before
            padding = [(before, after) if axis == dimension else (0, 0) for dimension in range(4)]
            padded = tf.pad(x, padding, constant_values=tf.cast(outside, x.dtype))
            starts = range(0, self.pool_size * self.atrous_rate, self.atrous_rate)
            taps = [
                padded[:, start : start + length] if axis == 1 else padded[:, :, start : start + length]
                for start in starts
            ]
            x = tf.ensure_shape(functools.reduce(operation, taps), x.shape)
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "atrous_rate": self.atrous_rate,
            "reduction": self.reduction,
        }
