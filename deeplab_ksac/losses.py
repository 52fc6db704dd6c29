"""Losses: each names the output it reads and returns named scalars; nothing else touches labels.

A scalar is scaled so that its mean over the replicas is the loss of the global batch.
"""

import tensorflow as tf

from car import ClassAwareRegularizer
from car.settings import TERMS
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


class ClassAware:
    """Class-aware regularization of the features (chapter 4); arguments as `car.ClassAwareRegularizer`.

    Args:
        output: the features it reads, [N, h, w, C] or a tuple of such.
    """

    def __init__(
        self,
        output="features",
        *,
        num_classes,
        terms=TERMS,
        centers="batch",
        moving_average=None,
        pooling=1,
        settings=None,
        check_inputs=True,
    ):
        self.output = output
        self.regularizer = ClassAwareRegularizer(
            num_classes,
            terms,
            centers=centers,
            moving_average=moving_average,
            pooling=pooling,
            settings=settings,
            check_inputs=check_inputs,
        )

    def __call__(self, outputs, labels):
        """labels [N, H, W] -> {"class_aware/intra_c2p": scalar, …}, the terms asked for."""
        return self._named(self.regularizer(outputs[self.output], labels))

    def diagnose(self, outputs, labels):
        """{"class_aware/intra_class_variance": scalar, "class_aware/center_similarity": scalar}."""
        return self._named(self.regularizer.diagnose(outputs[self.output], labels))

    def build(self, outputs):
        """Makes the moving centers; `outputs` are the model's, symbolic."""
        shapes = tf.nest.map_structure(lambda x: tf.TensorShape(x.shape), outputs[self.output])
        self.regularizer.build(shapes)
        self.regularizer.built = True

    def _named(self, values):
        return {f"class_aware/{name}": tf.cast(value, tf.float32) for name, value in values.items()}


LOSSES = {"cross_entropy": CrossEntropy, "affinity": AffinityLoss, "class_aware": ClassAware}


class Objective:
    """The sum of several losses, term by term: (outputs, labels) -> {name: scalar}.

    `variables` are those that the losses keep (CAR's moving centers), once `build` has made them; `diagnose` gives what
    is logged beside the terms.

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

    def build(self, outputs):
        """Makes the variables of the losses that have some, before a checkpoint is read."""
        for loss in self._measuring():
            loss.build(outputs)

    @property
    def variables(self):
        return [variable for loss in self._measuring() for variable in loss.regularizer.variables]

    def diagnose(self, outputs, labels):
        """Scalars that are no loss: {name: scalar}, the same on all replicas."""
        return {name: x for loss in self._measuring() for name, x in loss.diagnose(outputs, labels).items()}

    def _measuring(self):
        return [loss for loss in self.losses if isinstance(loss, ClassAware)]


def build_objective(parts, num_classes):
    """The objective of an experiment's `losses`."""
    return Objective(construct(LOSSES, part, num_classes=num_classes) for part in parts)
