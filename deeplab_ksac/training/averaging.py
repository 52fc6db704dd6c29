"""Moving averages of a model's weights, which are often better than the last weights."""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import check_numbers


class MovingAverages(tf.Module):
    """Exponential moving averages of all weights of a model, those of batch normalization's statistics among them.

    After step t (the first is 0): average ← d · average + (1 − d) · weight with d = min(decay, t / (t + 10)), so that
    the weights the stage began with leave no trace. The statistics are averaged like weights, since those of the last
    weights do not belong to averaged ones. The averages are float32, or as wide as the weight, and each replica keeps
    its own: no communication.

    Args:
        model: a built model; make the averages in the scope of its strategy.
        decay: in (0, 1).
    """

    def __init__(self, model: keras.Model, decay: float = 0.999):
        check_numbers("(0, 1)", decay=decay)
        super().__init__(name="averages")
        self.decay = decay
        self.values = [
            tf.Variable(
                tf.zeros(weight.shape, weight.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=aggregation_of(weight),
                name="average",
            )
            for weight in model.weights
        ]

    def update(self, weights: Sequence[tf.Variable], step: tf.Tensor) -> None:
        """Takes the model's weights in, in a replica's context, after step `step` (0 is the first)."""
        past = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, past / (past + 10.0))
        for average, weight in zip(self.values, weights, strict=True):
            if weight.dtype.is_floating:
                old, new = average.read_value(), tf.convert_to_tensor(weight)
                average.assign(new + tf.cast(decay, new.dtype) * (old - new))
            else:
                average.assign(weight)

    @contextlib.contextmanager
    def in_place(self, model: keras.Model, strategy: tf.distribute.Strategy) -> Iterator[None]:
        """Inside, the model has the averages for weights; afterwards its own again, bit for bit, on every replica."""
        weights = self._local(strategy, model.weights)
        kept = [tf.identity(weight) for weight in weights]
        for weight, average in zip(weights, self._local(strategy, self.values), strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(weights, kept, strict=True):
                weight.assign(value)

    def of_states(self, model: keras.Model) -> list[tf.Variable]:
        """The averages of what each replica keeps for itself, which alone can differ between the replicas."""
        pairs = zip(model.weights, self.values, strict=True)
        return [average for weight, average in pairs if weight.synchronization == tf.VariableSynchronization.ON_READ]

    def copy_to(self, model: keras.Model) -> None:
        """Makes the averages the weights of a model, for good."""
        for weight, average in zip(model.weights, self.values, strict=True):
            weight.assign(average)

    @staticmethod
    def _local(strategy, variables):
        return [local for variable in variables for local in strategy.experimental_local_results(variable)]


def aggregation_of(weight: tf.Variable) -> tf.VariableAggregation:
    """How the replicas' averages become one in a checkpoint: as the weight's own copies do, where they can differ."""
    if weight.synchronization == tf.VariableSynchronization.ON_READ:
        return weight.aggregation
    return tf.VariableAggregation.ONLY_FIRST_REPLICA
