"""Batch normalization as a value: what every layer of the project normalizes with."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from deeplab_ksac.any_keras import BACKEND, KERAS_3, keras

if KERAS_3:
    SynchronizableBatchNormalization = keras.layers.BatchNormalization

    @keras.saving.register_keras_serializable("deeplab_ksac")
    class FixedStatisticsNormalization(keras.layers.BatchNormalization):
        """Batch normalization by its moving averages in training too, which it keeps; γ and β are trained."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return super().call(inputs, training=False, mask=mask)

else:
    from deeplab_ksac.layers.fused_norm import FixedStatisticsNormalization, SynchronizableBatchNormalization


CAN_SYNCHRONIZE = BACKEND == "tensorflow"
NormFactory = Callable[..., keras.layers.Layer]  # called with a name and a dtype
Norm = NormFactory | dict[str, Any]  # a factory, or what `serialize_norm` has made of it


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
        synchronized: whether the replicas share their statistics; of no effect on JAX and PyTorch, where Keras has no
            replicas.
        fixed: whether the moving averages are used in training too, and kept (`Stage.freeze_norm`).
    """

    momentum: float = 0.9997
    epsilon: float = 1e-3
    synchronized: bool = True
    fixed: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {self.momentum}")
        if isinstance(self.epsilon, bool) or not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be above 0, not {self.epsilon}")

    def __call__(self, **kwargs: Any) -> keras.layers.Layer:
        """A new normalization layer; `kwargs` (a name, an initializer) go to its constructor."""
        settings = {"momentum": self.momentum, "epsilon": self.epsilon, **kwargs}
        if self.fixed:
            return FixedStatisticsNormalization(**settings)
        return SynchronizableBatchNormalization(
            **{"synchronized": self.synchronized and CAN_SYNCHRONIZE, **settings},
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
    # by its name, since Keras' HDF5 files know registered layers alone
    if norm.get("registered_name", norm["class_name"]) == keras.saving.get_registered_name(BatchNorm):
        return BatchNorm.from_config(norm["config"])
    restored = keras.layers.deserialize(norm)
    config = {key: value for key, value in restored.get_config().items() if key not in ("name", "dtype")}
    return lambda **kwargs: type(restored).from_config({**config, **kwargs})
