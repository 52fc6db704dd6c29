"""The scale of the loss in float16, where small gradients would become zero."""

import tensorflow as tf

FIRST, LOWEST, GROWTH_STEPS = 2.0**15, 1.0, 2000


class LossScale(tf.Module):
    """A factor of the loss that is halved where a gradient is not finite and doubled after 2,000 steps without that.

    The rule, the first scale and the lowest are those of Keras' `LossScaleOptimizer`. That one wraps one optimizer and
    judges the gradients it is given; here one decision holds for all groups of variables, and for the sum of all parts
    of a batch.
    """

    def __init__(self, growth_steps=GROWTH_STEPS):
        super().__init__(name="loss_scale")
        self.growth_steps = growth_steps
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.scale = tf.Variable(FIRST, trainable=False, dtype=tf.float32, aggregation=first)
        self.good_steps = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=first)

    def update(self, finite):
        """Moves the scale after a step whose gradients were all finite, or not."""
        good = tf.where(finite, self.good_steps + 1, 0)
        grown = good >= self.growth_steps
        doubled = self.scale * 2.0
        up = tf.where(grown & tf.math.is_finite(doubled), doubled, self.scale)
        self.scale.assign(tf.where(finite, up, tf.maximum(self.scale / 2.0, LOWEST)))
        self.good_steps.assign(tf.where(grown, tf.zeros_like(good), good))
