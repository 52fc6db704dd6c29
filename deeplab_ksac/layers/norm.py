"""Batch normalization as a value: what every layer of the project normalizes with."""

import dataclasses

from tensorflow import keras


@keras.saving.register_keras_serializable("deeplab_ksac")
class SynchronizableBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that is still synchronized after it was saved and loaded.

    Keras 2.15 leaves `synchronized` out of the layer's configuration.
    """

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
