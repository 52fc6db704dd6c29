"""Batch normalization as a value: what every layer of the project normalizes with."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers.fused_norm import normalize, normalize_over_replicas

NormFactory = Callable[..., keras.layers.Layer]  # called with a name and a dtype
Norm = NormFactory | dict[str, Any]  # a factory, or what `serialize_norm` has made of it


@keras.saving.register_keras_serializable("deeplab_ksac")
class SynchronizableBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that is synchronized by fused operations, and still synchronized after it was
    saved and loaded: [N, h, w, C] -> the same.

    Keras normalizes a synchronized layer's batch by a dozen operations, with one replica too, that take up to four
    times as long as the fused one (on a CPU, with the gradient), and leaves `synchronized` out of the layer's
    configuration. The fused operations are for training alone: with the moving averages Keras' multiplication and
    addition are as fast.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        fusible = inputs.shape.rank == 4 and inputs.dtype != tf.float64 and list(self.axis) == [3]
        trains = self._get_training_value(training) is True
        if not (self.synchronized and fusible and trains and replica and mask is None):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1:]
        gamma = tf.ones(channels) if self.gamma is None else tf.convert_to_tensor(self.gamma)
        beta = tf.zeros(channels) if self.beta is None else tf.convert_to_tensor(self.beta)
        if replica.num_replicas_in_sync == 1:
            outputs, mean, variance, _ = normalize(inputs, gamma, beta, self.epsilon)
        else:
            outputs, mean, variance = normalize_over_replicas(inputs, gamma, beta, self.epsilon, replica)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign_sub((average - value) * (1 - self.momentum))
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "synchronized": self.synchronized}


@keras.saving.register_keras_serializable("deeplab_ksac")
@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """The settings of batch normalization; calling it makes a new layer with them.

    Statistics are taken over all replicas ("synchronized batch normalization", Sect. 3.4.1.3); with one replica that
    is ordinary batch normalization. The defaults are the author's: `momentum` 0.9997 suits runs of 30K steps, shorter
    runs want less. Any callable that takes a name and a dtype and returns a layer can stand in its place.

    Attributes:
        momentum: of the moving averages, in [0, 1).
        epsilon: added to the variance, above 0.
        synchronized: whether the replicas share their statistics.
    """

    momentum: float = 0.9997
    epsilon: float = 1e-3
    synchronized: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {self.momentum}")
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be above 0, not {self.epsilon}")

    def __call__(self, **kwargs: Any) -> keras.layers.Layer:
        """A new normalization layer; `kwargs` (a name, an initializer) go to its constructor."""
        return SynchronizableBatchNormalization(
            **{
                "momentum": self.momentum,
                "epsilon": self.epsilon,
                "synchronized": self.synchronized,
                **kwargs,
            }
        )

    def get_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BatchNorm":
        return cls(**config)


def serialize_norm(norm: NormFactory) -> dict[str, Any]:
    """The configuration from which `deserialize_norm` makes an equal factory: a dict that JSON can hold."""
    if isinstance(norm, BatchNorm):
        return keras.saving.serialize_keras_object(norm)
    return keras.layers.serialize(norm(name="norm"))


def deserialize_norm(norm: Norm) -> NormFactory:
    """A normalization factory from a factory (returned as it is) or from a configuration of `serialize_norm`."""
    if not isinstance(norm, dict):
        return norm
    if norm["class_name"].rpartition(">")[2] == BatchNorm.__name__:  # Keras' HDF5 files know registered layers alone
        return BatchNorm.from_config(norm["config"])
    restored = keras.layers.deserialize(norm)
    config = {key: value for key, value in restored.get_config().items() if key not in ("name", "dtype")}
    return lambda **kwargs: type(restored).from_config({**config, **kwargs})
