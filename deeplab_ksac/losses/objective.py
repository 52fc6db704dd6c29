"""The sum of an experiment's losses, term by term."""

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.losses.reading import is_readable


class Objective:
    """The sum of several losses, term by term: (outputs, labels) -> {name: scalar}.

    A loss is a callable (outputs, labels) -> {name: scalar}. It may have `mass(labels)`, where it is a mean over
    pixels, and `check_sides(height, width)`, where it cannot take images of every size (`losses.pixel`), `output` and
    `reads`, the name of the output it reads and what that must be (`losses.reading`), and `build(outputs)`,
    `variables` and `diagnose(outputs, labels)`, where it keeps variables or measures something beside its terms
    (`losses.class_aware`).

    Raises:
        ValueError: when called, two losses that give the same term, or one that gives no terms by name.
    """

    def __init__(self, losses: Iterable):
        self.losses = tuple(losses)
        self._measuring = [loss for loss in self.losses if hasattr(loss, "diagnose")]

    def __call__(
        self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor, shares: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The terms; `shares` [losses] are factors of each loss's terms, one row of `shares(parts)`."""
        terms = {}
        for index, loss in enumerate(self.losses):
            found = loss(outputs, labels)
            if not isinstance(found, Mapping):
                raise ValueError(f"losses[{index}] must give scalars by name, not {type(found).__name__}")
            for name, value in found.items():
                if name in terms:
                    raise ValueError(
                        f"two losses have a term named {name!r}, the second is losses[{index}]; let it read another "
                        "output, or leave it out"
                    )
                terms[name] = value if shares is None else value * tf.cast(shares[index], value.dtype)
        return terms

    def shares(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """How much each part of a batch counts in each loss: labels, one [n, H, W] for a part -> [parts, losses].

        A mean over pixels takes each part by its labeled pixels (on all replicas), so that the shares of the parts'
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

    def build(self, outputs: Mapping[str, tf.Tensor]) -> None:
        """Makes the variables of the losses that have some, before a checkpoint is read; `outputs` are the model's.

        Raises:
            ValueError: a loss reads an output that the model does not have, or one that it cannot read.
        """
        for index, loss in enumerate(self.losses):
            read = getattr(loss, "output", None)
            if hasattr(loss, "output") and not (isinstance(read, str) and read in outputs):
                raise ValueError(f"losses[{index}]: output must be one of {', '.join(outputs)}, not {read!r}")
            what = getattr(loss, "reads", None)
            if what is not None and not is_readable(what, read, outputs[read]):
                fitting = [name for name, output in outputs.items() if is_readable(what, name, output)]
                which = f"one of {', '.join(fitting)}" if fitting else "an output that this model does not have"
                raise ValueError(f"losses[{index}]: output must be {which}, {what}, not {read!r}")
        for loss in self._measuring:
            loss.build(outputs)

    def check_sides(self, height: int, width: int) -> None:
        """Makes sure that all losses can take images of these sides, in pixels.

        Raises:
            ValueError: one cannot.
        """
        for index, loss in enumerate(self.losses):
            if hasattr(loss, "check_sides"):
                try:
                    loss.check_sides(height, width)
                except ValueError as error:
                    raise ValueError(f"losses[{index}]: {error}") from error

    @property
    def variables(self) -> list[tf.Variable]:
        """Those that the losses keep (CAR's moving centers), once `build` has made them."""
        return [variable for loss in self._measuring for variable in loss.variables]

    def diagnose(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scalars that are no loss and are logged beside the terms: {name: scalar}, the same on all replicas."""
        return {name: x for loss in self._measuring for name, x in loss.diagnose(outputs, labels).items()}
