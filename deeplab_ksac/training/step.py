"""One training step: predict, judge, differentiate, move."""

import tensorflow as tf
from tensorflow import keras


def regularized_kernels(variables):
    """The kernels of plain convolutions and dense layers: what L2 acts on; no depthwise kernel, bias or norm."""
    return [
        variable
        for variable in variables
        if variable.name.split("/")[-1].startswith("kernel") and variable.shape.rank in (2, 4)
    ]


def l2_norm(variables):
    """Σ w² over `regularized_kernels`, in float32."""
    kernels = regularized_kernels(variables)
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(kernel, tf.float32))) for kernel in kernels])


def make_train_step(model, objective, optimizer, strategy, *, l2=0.0):
    """The compiled step: distributed batch {"image", "labels"} -> {term: scalar}, the weights moved once.

    The terms are those of the objective on the global batch, "l2" where it is asked for, "loss", their sum, and what
    the objective measures beside.
    """
    scaled = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)

    def replica_step(batch):
        with tf.GradientTape() as tape:
            outputs = model(batch["image"], training=True)
            terms = objective(outputs, batch["labels"])
            if l2:
                terms = {**terms, "l2": l2 * l2_norm(model.trainable_variables)}
            total = tf.add_n(list(terms.values()))
            share = total / strategy.num_replicas_in_sync
            share = optimizer.get_scaled_loss(share) if scaled else share
        gradients = tape.gradient(share, model.trainable_variables)
        if scaled:
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return {**terms, "loss": total, **objective.diagnose(outputs, batch["labels"])}

    @tf.function
    def train_step(batch):
        terms = strategy.run(replica_step, args=(batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in terms.items()}

    return train_step
