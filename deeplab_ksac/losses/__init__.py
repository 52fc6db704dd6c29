"""Losses: each names the output it reads and returns named scalars; nothing else touches labels.

A scalar is scaled so that its mean over the replicas is the loss of the global batch.
"""

import tensorflow as tf

from car import ClassAwareRegularizer
from car.settings import TERMS
from deeplab_ksac.construct import construct
from deeplab_ksac.losses.affinity import AffinityLoss
from deeplab_ksac.losses.dice import Dice
from deeplab_ksac.losses.pixel import CrossEntropy, Focal, HardPixels


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


LOSSES = {
    "affinity": AffinityLoss,
    "class_aware": ClassAware,
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "ohem": HardPixels,
}


class Objective:
    """The sum of several losses, term by term: (outputs, labels) -> {name: scalar}.

    `variables` are those that the losses keep (CAR's moving centers), once `build` has made them; `diagnose` gives what
    is logged beside the terms.

    Raises:
        ValueError: two losses that give the same term.
    """

    def __init__(self, losses):
        self.losses = tuple(losses)

    def __call__(self, outputs, labels, shares=None):
        """The terms; `shares` [losses] are factors of each loss's terms, one row of `shares(parts)`."""
        terms = {}
        for index, loss in enumerate(self.losses):
            for name, value in loss(outputs, labels).items():
                if name in terms:
                    raise ValueError(f"two losses give the term {name!r}")
                terms[name] = value if shares is None else value * tf.cast(shares[index], value.dtype)
        return terms

    def shares(self, parts):
        """How much each part of a batch counts in each loss: labels, one [n, H, W] for a part -> [parts, losses].

        A mean over pixels takes each part by its labelled pixels (on all replicas), so that the shares of the parts'
        means add up to the mean of the whole, exactly; any other loss takes its parts alike.
        """
        columns = []
        for loss in self.losses:
            if not hasattr(loss, "mass"):
                columns.append(tf.fill([len(parts)], 1.0 / len(parts)))
                continue
            masses = tf.stack([loss.mass(labels) for labels in parts])
            columns.append(tf.math.divide_no_nan(masses, tf.reduce_sum(masses)))
        return tf.stack(columns, axis=1)

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
