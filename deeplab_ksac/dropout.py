"""Dropout of values and of whole residual branches, whose generator's state is in checkpoints."""

import tensorflow as tf

from deeplab_ksac.keras2 import keras


@keras.saving.register_keras_serializable("deeplab_ksac")
class Dropout(keras.layers.Dropout):
    """Sets values to 0 with probability `rate` and divides the others by 1 − rate, in training only.

    As `keras.layers.Dropout`, but a layer that is not trained drops nothing, as batch normalization then keeps its
    statistics. And the draws are a function of the number of calls, counted from a random start, and of
    the replica: a run that is resumed from a checkpoint drops what the run without an interruption drops. Keras' own
    draws go on from a state that no checkpoint holds. The count is saved with the layer and is none of its weights.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        super().build(input_shape)
        if self.rate:
            draws = tf.Variable(
                tf.random.uniform([], maxval=2**62, dtype=tf.int64),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                name="draws",
            )
            self.state = tf.train.Checkpoint(draws=draws)  # a bare variable would be taken for a weight

    def call(self, inputs: tf.Tensor, training: bool | tf.Tensor | None = None) -> tf.Tensor:
        training = keras.backend.learning_phase() if training is None else training
        if not self.rate or not self.trainable:
            return tf.identity(inputs)
        if tf.is_tensor(training):
            return tf.cond(tf.cast(training, tf.bool), lambda: self._dropped(inputs), lambda: tf.identity(inputs))
        return self._dropped(inputs) if training else tf.identity(inputs)

    def _dropped(self, inputs):
        context = tf.distribute.get_replica_context()
        replica = tf.cast(0 if context is None else context.replica_id_in_sync_group, tf.int64)
        shape = self._get_noise_shape(inputs)
        shape = tf.shape(inputs) if shape is None else shape
        draws = self.state.draws
        draws.assign_add(1)
        seed = tf.stack([draws.read_value(), replica])
        kept = tf.random.stateless_uniform(shape, seed, alg="philox") >= self.rate
        return tf.where(kept, inputs / tf.cast(1 - self.rate, inputs.dtype), tf.zeros([], inputs.dtype))


@keras.saving.register_keras_serializable("deeplab_ksac")
class DropPath(Dropout):
    """Sets whole images' maps to 0 with probability `rate`, each image by itself, and divides the others by 1 − rate:
    [N, …, C] -> the same; in training only.

    Dropout with one draw per image. `keras_cv.layers.DropPath` would draw once, when a step is compiled,
    and leave out the same images of every batch; `tfa.layers.StochasticDepth` draws once for a whole batch.
    """

    def _get_noise_shape(self, inputs):
        return tf.concat([tf.shape(inputs)[:1], tf.ones([inputs.shape.rank - 1], tf.int32)], axis=0)
