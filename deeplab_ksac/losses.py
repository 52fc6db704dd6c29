"""Losses: each names the output it reads and returns named scalars; nothing else touches labels.

A scalar is scaled so that its mean over the replicas is the loss of the global batch.
"""

import tensorflow as tf

from deeplab_ksac.affinity import AffinityLoss
from deeplab_ksac.construct import construct


def mean_over_global_batch(values, weights):
    """Σ values·weights / Σ weights over all replicas, scaled so that the replicas' results average to it.

    0 where no weight is set anywhere.
    """
    total, count = tf.reduce_sum(values * weights), tf.reduce_sum(weights)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tf.math.divide_no_nan(total, count)
    replicas = tf.cast(context.num_replicas_in_sync, total.dtype)
    return tf.math.divide_no_nan(total * replicas, context.all_reduce(tf.distribute.ReduceOp.SUM, count))


class CrossEntropy:
    """Cross-entropy of every labelled pixel, averaged over those of the global batch.

    Args:
        output: the logits it reads, [N, H, W, K].
        weight: factor of the term; the thesis's auxiliary losses have 0.4.
    """

    def __init__(self, output="logits", weight=1.0):
        if weight <= 0:
            raise ValueError(f"weight must be above 0, not {weight}")
        self.output, self.weight = output, weight

    def __call__(self, outputs, labels):
        """labels [N, H, W] in 0…K-1, all else ignored -> {"cross_entropy/<output>": scalar}."""
        logits = tf.cast(outputs[self.output], tf.float32)
        valid = (labels >= 0) & (labels < logits.shape[-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(valid, labels, 0), logits)
        mean = mean_over_global_batch(losses, tf.cast(valid, tf.float32))
        return {f"cross_entropy/{self.output}": self.weight * mean}


LOSSES = {"cross_entropy": CrossEntropy, "affinity": AffinityLoss}


class Objective:
    """The sum of several losses, term by term: (outputs, labels) -> {name: scalar}.

    Raises:
        ValueError: two losses that give the same term.
    """

    def __init__(self, losses):
        self.losses = tuple(losses)

    def __call__(self, outputs, labels):
        terms = {}
        for loss in self.losses:
            for name, value in loss(outputs, labels).items():
                if name in terms:
                    raise ValueError(f"two losses give the term {name!r}")
                terms[name] = value
        return terms


def build_objective(parts, num_classes):
    """The objective of an experiment's `losses`."""
    return Objective(construct(LOSSES, part, num_classes=num_classes) for part in parts)
