"""Batch normalization as a value: what every layer of the project normalizes with."""

import dataclasses

import tensorflow as tf
from tensorflow import keras


@keras.saving.register_keras_serializable("deeplab_ksac")
class SynchronizableBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that is synchronized at no cost where there is one replica, and still after it
    was saved and loaded: [N, h, w, C] -> the same.

    Keras normalizes a synchronized layer's batch by a dozen operations that take up to four times as long as the
    fused one (on a CPU, with the gradient), and leaves `synchronized` out of the layer's configuration. One replica's
    batch is all there is, so that the fused operation gives the same here. It is for training alone: with the moving
    averages Keras' multiplication and addition are as fast.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is None and self._get_training_value(training) is True and self._is_alone(inputs):
            return self._normalized_by_batch(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _is_alone(self, inputs):
        """Whether these are the only maps [N, h, w, C] of their step, of a type that can be fused."""
        fusible = inputs.shape.rank == 4 and inputs.dtype != tf.float64 and list(self.axis) == [3]
        return fusible and self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync == 1

    def _normalized_by_batch(self, inputs):
        """The maps normalized by their own mean and variance, which move the averages."""
        channels = inputs.shape[-1:]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.ones(channels) if self.gamma is None else self.gamma,
            offset=tf.zeros(channels) if self.beta is None else self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
        )
        pixels = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        biased = variance * (pixels - 1) / pixels  # of n pixels the operation's is that of the population, n / (n − 1)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, biased)):
            average.assign_sub((average - value) * (1 - self.momentum))
        return outputs

    def get_config(self):
        return {**super().get_config(), "synchronized": self.synchronized}


@keras.saving.register_keras_serializable("deeplab_ksac")
@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """The settings of batch normalization; calling it makes a new layer with them.

    Statistics are taken over all replicas ("synchronized batch normalization", Sect. 3.4.1.3); with one replica that
    is ordinary batch normalization. The defaults are the author's: `momentum` 0.9997 suits runs of 30K steps, shorter
    runs want less. Any callable that takes a name and returns a layer can stand in its place.

    Attributes:
        momentum: of the moving averages, in [0, 1).
        epsilon: added to the variance, above 0.
        synchronized: whether the replicas share their statistics.
    """

    momentum: float = 0.9997
    epsilon: float = 1e-3
    synchronized: bool = True

    def __post_init__(self):
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {self.momentum}")
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be above 0, not {self.epsilon}")

    def __call__(self, **kwargs):
        """A new normalization layer; `kwargs` (a name, an initializer) go to its constructor."""
        return SynchronizableBatchNormalization(
            **{
                "momentum": self.momentum,
                "epsilon": self.epsilon,
                "synchronized": self.synchronized,
                **kwargs,
            }
        )

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def serialize_norm(norm):
    """The configuration from which `deserialize_norm` makes an equal factory: a dict that JSON can hold."""
    if isinstance(norm, BatchNorm):
        return keras.saving.serialize_keras_object(norm)
    return keras.layers.serialize(norm(name="norm"))


def deserialize_norm(norm):
    """A normalization factory from a factory (returned as it is) or from a configuration of `serialize_norm`."""
    if not isinstance(norm, dict):
        return norm
    restored = keras.saving.deserialize_keras_object(norm)
    if isinstance(restored, BatchNorm):
        return restored
    config = restored.get_config()
    config.pop("name")
    return lambda **kwargs: type(restored).from_config({**config, **kwargs})
