"""Keras 2's batch normalization by TensorFlow's fused operations, on one replica and over several."""

from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.any_keras import keras


def count_pixels(features: tf.Tensor) -> np.float32 | tf.Tensor:
    """How many pixels [N, h, w, C] features have: a number where it is known, else a float32 scalar tensor."""
    known = features.shape[:3].num_elements()
    return tf.cast(tf.reduce_prod(tf.shape(features)[:3]), tf.float32) if known is None else np.float32(known)


def normalize(
    features: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """(features normalized by their own mean and variance, mean, variance, what the gradient operation asks for)."""
    outputs, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
        x=features, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon
    )
    pixels = count_pixels(features)
    # of n pixels the operation's is that of the population, n / (n − 1)
    return outputs, mean, variance * (pixels - 1) / pixels, reserved


def affine(
    features: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """γ · (x − mean) / √(variance + ε) + β with given statistics: one operation, which TensorFlow joins with the
    convolution before it and the activation after it."""
    return tf.raw_ops.FusedBatchNormV3(
        x=features, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    ).y


def normalize_over_replicas(
    features: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float, replica: tf.distribute.ReplicaContext
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(features normalized by the mean and variance over all replicas, these two).

    Own statistics and sums come from the fused operations. The variance is Σ n·(s² + (m − μ)²) / N (Chan et al., 1983),
    for which the mean has to be known first: E[x²] − μ² would cancel where the mean is large beside the deviation. The
    sums are exchanged, and what the others change is added:
    with n pixels of N, own mean m and deviation s, all replicas' mean μ and deviation σ, the gradient is

        γ/σ · (dy − Σdy/N − x̂ · Σ(dy·x̂)/N)          x̂ = (x − μ) / σ, sums over all replicas

    of which the fused operation gives γ/σ · (dy − Σdy/n − x̂' · Σ(dy·x̂')/n), x̂' = (x − m) / s, sums over this one.

    A replica without pictures, as the last batch of a data set may leave one, adds nothing.
    """

    @tf.custom_gradient
    def normalized(features, gamma, beta):
        own, ones = count_pixels(features), tf.ones_like(gamma)
        _, own_mean, own_variance, reserved = normalize(features, ones, tf.zeros_like(beta), epsilon)
        own_mean, own_variance = _of_pixels(own, own_mean), _of_pixels(own, own_variance)
        pixels, total = tf.unstack(replica.all_reduce(tf.distribute.ReduceOp.SUM, own * tf.stack([ones, own_mean])))
        mean = total / pixels
        squares = own * (own_variance + tf.square(own_mean - mean))
        variance = replica.all_reduce(tf.distribute.ReduceOp.SUM, squares) / pixels
        deviation, own_deviation = tf.sqrt(variance + epsilon), tf.sqrt(own_variance + epsilon)
        apart = (own_mean - mean) / deviation

        def gradient(upstream, *_):
            own_part, own_along, own_sum, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=features,
                scale=gamma * own_deviation / deviation,
                reserve_space_1=reserved[0],
                reserve_space_2=reserved[1],
                reserve_space_3=reserved[2],
                epsilon=epsilon,
            )
            own_along, own_sum = _of_pixels(own, own_along), _of_pixels(own, own_sum)
            own_gain = own_along * own_deviation / deviation + own_sum * apart
            sums = tf.stack([own_gain, own_sum])
            gain, summed = tf.unstack(replica.all_reduce(tf.distribute.ReduceOp.SUM, sums))
            slope = own_along / own - gain / pixels * own_deviation / deviation
            offset = own_sum / own - summed / pixels - gain / pixels * apart
            factor = gamma / deviation
            others_part = affine(features, factor * slope, factor * offset, own_mean, own_variance, epsilon)
            return own_part + others_part, own_gain, own_sum

        return (affine(features, gamma, beta, mean, variance, epsilon), mean, variance), gradient

    return normalized(features, gamma, beta)


def _of_pixels(number, statistics):
    """Statistics of so many pixels: of none, 0 and not what the fused operations give (NaN)."""
    if not tf.is_tensor(number) and number > 0:
        return statistics
    return tf.where(number > 0, statistics, 0.0)


def affine_with_gradient(
    features: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """`affine`, differentiable in the features, γ and β.

    The fused operation's own gradient has no deterministic implementation on a GPU where the statistics are given.
    """
    deviation = tf.sqrt(variance + epsilon)

    @tf.custom_gradient
    def normalized(features, gamma, beta):
        def gradient(upstream):
            slopes = tf.cast(upstream, gamma.dtype)
            with tf.control_dependencies([upstream]):  # else they are made right after the forward pass, and kept
                apart = tf.cast(features, gamma.dtype) - mean
            along = tf.reduce_sum(slopes * apart, (0, 1, 2)) / deviation
            of_features = tf.cast(slopes * (gamma / deviation), features.dtype)
            return of_features, along, tf.reduce_sum(slopes, (0, 1, 2))

        return affine(features, gamma, beta, mean, variance, epsilon), gradient

    return normalized(features, gamma, beta)


def is_fusible(layer: keras.layers.BatchNormalization, inputs: tf.Tensor) -> bool:
    """Whether the fused operations can compute what a layer does with its input."""
    return inputs.shape.rank == 4 and inputs.dtype != tf.float64 and list(layer.axis) == [3]


def scale_and_offset(layer: keras.layers.BatchNormalization, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """γ and β of a layer: 1 and 0 where it has none."""
    channels = inputs.shape[-1:]
    gamma = tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma)
    beta = tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta)
    return gamma, beta


def averages(layer: keras.layers.BatchNormalization) -> tuple[tf.Tensor, tf.Tensor, float]:
    """The moving mean, the moving variance, and ε."""
    return tf.convert_to_tensor(layer.moving_mean), tf.convert_to_tensor(layer.moving_variance), layer.epsilon


@keras.saving.register_keras_serializable("deeplab_ksac")
class FixedStatisticsNormalization(keras.layers.BatchNormalization):
    """Batch normalization by its moving averages in training too, which it keeps; γ and β are trained."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        trains = self._get_training_value(training)
        if not isinstance(trains, bool) or not is_fusible(self, inputs) or mask is not None:
            return super().call(inputs, training=False, mask=mask)
        normalized = affine_with_gradient if trains else affine
        return normalized(inputs, *scale_and_offset(self, inputs), *averages(self))


@keras.saving.register_keras_serializable("deeplab_ksac")
class SynchronizableBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that is synchronized by fused operations, and still synchronized after it was
    saved and loaded: [N, h, w, C] -> the same.

    Keras normalizes a synchronized layer's batch by a dozen operations, with one replica too, that take up to four
    times as long as the fused one (on a CPU, with the gradient), and leaves `synchronized` out of the layer's
    configuration. With the moving averages Keras multiplies and adds, and TensorFlow cannot join that with the
    convolution before it.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        trains = self._get_training_value(training)
        if not isinstance(trains, bool) or not is_fusible(self, inputs) or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        if not trains:
            return affine(inputs, *scale_and_offset(self, inputs), *averages(self))
        replica = tf.distribute.get_replica_context()
        if not (self.synchronized and replica):
            return super().call(inputs, training=training, mask=mask)
        gamma, beta = scale_and_offset(self, inputs)
        if replica.num_replicas_in_sync == 1:
            outputs, mean, variance, _ = normalize(inputs, gamma, beta, self.epsilon)
        else:
            outputs, mean, variance = normalize_over_replicas(inputs, gamma, beta, self.epsilon, replica)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign_sub((average - value) * (1 - self.momentum))
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "synchronized": self.synchronized}
