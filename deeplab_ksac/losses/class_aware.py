"""Class-aware regularization (chapter 4) as a loss of an experiment."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from car import ClassAwareRegularizer
from car.settings import TERMS, ClassAwareSettings
from deeplab_ksac.losses.reading import FEATURES, LOGITS, is_readable


class ClassAware:
    """Class-aware regularization of the features; arguments as `car.ClassAwareRegularizer`, with its defaults.

    Args:
        output: the features it reads, [N, h, w, C] or a tuple of such.
        labels: as `car.ClassAwareRegularizer`; "predicted" and "completed" are experimental. With "completed", pictures
            without a label take part, beside the labeled ones of other sources.
        predicted_from: the logits that predicted labels are of: those of the network itself or, at less depth,
            "aux_logits" or OCR's "coarse_logits".

    Raises:
        ValueError: as `car.ClassAwareRegularizer`; in `build`, a model without the logits.
    """

    reads = FEATURES

    def __init__(
        self,
        output: str = "features",
        *,
        num_classes: int,
        terms: Sequence[str] | Mapping[str, float] = TERMS,
        centers: str = "batch",
        moving_average: float | None = None,
        pooling: int = 1,
        settings: ClassAwareSettings | Mapping | str | None = None,
        labels: str = "given",
        threshold: float = 0.9,
        predicted_from: str = "logits",
        check_inputs: bool = True,
    ):
        self.output, self.predicted_from = output, predicted_from
        self.regularizer = ClassAwareRegularizer(
            num_classes,
            terms,
            centers=centers,
            moving_average=moving_average,
            pooling=pooling,
            settings=settings,
            labels=labels,
            threshold=threshold,
            check_inputs=check_inputs,
        )

    def __call__(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """labels [N, H, W] -> {"class_aware/intra_c2p": scalar, …}, the terms asked for."""
        return _named(self.regularizer(outputs[self.output], labels, self._logits(outputs)))

    def diagnose(self, outputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """{"class_aware/intra_class_variance": scalar, "class_aware/center_similarity": scalar}."""
        return _named(self.regularizer.diagnose(outputs[self.output], labels, self._logits(outputs)))

    def _logits(self, outputs):
        return None if self.regularizer.labels == "given" else outputs[self.predicted_from]

    def build(self, outputs: Mapping[str, tf.Tensor]) -> None:
        """Makes the moving centers; `outputs` are the model's, symbolic."""
        if self.regularizer.labels != "given":
            found = [name for name, output in outputs.items() if is_readable(LOGITS, name, output)]
            if self.predicted_from not in found:
                raise ValueError(f"predicted_from must be one of {', '.join(found)}, not {self.predicted_from!r}")
        shapes = tf.nest.map_structure(lambda x: tf.TensorShape(x.shape), outputs[self.output])
        self.regularizer.build(shapes)
        self.regularizer.built = True

    @property
    def variables(self) -> list[tf.Variable]:
        """The moving centers, where there are some."""
        return self.regularizer.variables


def _named(values):
    return {f"class_aware/{name}": tf.cast(value, tf.float32) for name, value in values.items()}
