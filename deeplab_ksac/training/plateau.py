"""The learning rate that is cut where the loss stops falling."""

import tensorflow as tf
from tensorflow import keras

BEGINNING = {"share": 1.0, "best": tf.float32.max, "stale": 0.0, "total": 0.0, "count": 0.0}


@keras.saving.register_keras_serializable("deeplab_ksac")
class Plateau(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is cut "according to the loss" (Sect. 2.3.2), which the thesis did by hand about every 30K steps.

    The loss is averaged over `interval` steps. Where `patience` averages in a row are none of them below the best one
    by the share `min_gain`, the rate is multiplied by `factor`; the averages after a cut are counted anew.

    Args:
        learning_rate: the first rate.
        factor: of a cut, in (0, 1).
        interval, patience: whole numbers above 0.
        min_gain: in [0, 1).
        lowest: share of `learning_rate` below which the rate does not fall.
    """

    def __init__(self, learning_rate, *, factor=0.5, interval=1000, patience=3, min_gain=0.01, lowest=0.0):
        self.learning_rate, self.factor, self.interval = learning_rate, factor, interval
        self.patience, self.min_gain, self.lowest = patience, min_gain, lowest
        self.state = {name: _variable(value) for name, value in BEGINNING.items()}

    def __call__(self, step):
        return self.learning_rate * self.state["share"].read_value()

    def observe(self, loss):
        """Takes the loss of a step, averaged over the replicas; one that is not finite is left out."""
        state, loss = self.state, tf.cast(loss, tf.float32)
        finite = tf.math.is_finite(loss)
        total = state["total"] + tf.where(finite, loss, 0.0)
        count = state["count"] + tf.cast(finite, tf.float32)
        due = count >= self.interval
        mean = tf.math.divide_no_nan(total, count)
        gained = due & (mean < state["best"] - self.min_gain * tf.abs(state["best"]))
        stale = tf.where(gained, 0.0, state["stale"] + tf.cast(due, tf.float32))
        cut = stale >= self.patience
        state["best"].assign(tf.where(gained, mean, state["best"]))
        state["stale"].assign(tf.where(cut, 0.0, stale))
        state["share"].assign(tf.where(cut, tf.maximum(state["share"] * self.factor, self.lowest), state["share"]))
        state["total"].assign(tf.where(due, 0.0, total))
        state["count"].assign(tf.where(due, 0.0, count))

    def get_config(self):
        names = ("learning_rate", "factor", "interval", "patience", "min_gain", "lowest")
        return {name: getattr(self, name) for name in names}


def _variable(value):
    return tf.Variable(value, trainable=False, dtype=tf.float32, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
