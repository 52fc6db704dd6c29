"""Class-aware regularization of any feature map."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from car.centers import class_centers, moved_centers
from car.diagnostics import class_statistics
from car.losses import inter_center_to_center, inter_center_to_pixel, intra_center_to_pixel
from car.pixels import check_branches, check_shapes, check_values, labelled_pixels
from car.predicted import labels_at
from car.settings import TERMS, ClassAwareSettings, is_number
from deeplab_ksac.any_keras import AVERAGED, keras
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import spatial_size

MOST_CLASSES = 65_536
LABELS = ("given", "predicted", "completed")
LARGEST_POOLING = 255  # pixels along a side of what is taken together


@keras.saving.register_keras_serializable("car")
class ClassAwareRegularizer(keras.layers.Layer):
    """The three terms of CAR (Sect. 4.3): (features [N, h, w, C], labels [N, H, W]) -> {term: scalar}.

    For training only, and for the features right before the classifier (Fig. 4.3). The terms are those of the global
    batch: what `tf.distribute` averages over replicas is what one replica with the whole batch would give, in value
    and in gradient. All is computed in float32 (float64 for float64 features). With a tuple of features, such as
    DANet's branches, each is regularized for itself, with its own centers, and the terms are summed.

    Args:
        num_classes: K, at least 2.
        terms: names of the terms, or a mapping of names to weights; those with weight 0 are left out.
        centers: "batch", one center per class over the images of all replicas; or "image", for each image its own
            (Table 4.3).
        moving_average: decay of the moving average of the centers, in [0, 1), or None for the batch's own
            (Table 4.2). Averages begin at random, and no gradient reaches them; `build` makes their variables, as the
            first call does.
        pooling: side of the squares of pixels that are averaged first; the author's code has 2 for UperNet and OCR.
        settings: `ClassAwareSettings`, a mapping of some of their attributes, "thesis" or "author"; None for the
            defaults.
        labels: where the labels come from. "given": those of the call. Experimental (Sect. 4.7): "predicted", the
            classes that a classifier is sure of, whose logits [N, H, W, K] the call takes as a third argument, and no
            labels; or "completed", the given ones, but predicted ones for each picture that has none. Where nothing in
            the batch is labeled then, all terms are 0.
        threshold: the probability that a predicted label must have at least, in (0, 1].
        check_inputs: whether labels other than 0…K−1 and 255 are an error; otherwise they are ignored, like 255.

    Raises:
        ValueError: an argument that is out of range; in the call, features or labels of another shape or type, of
            different batch size, or labels that are none.

    Example:
        >>> terms = ClassAwareRegularizer(59)(tf.zeros([2, 65, 65, 512]), tf.zeros([2, 513, 513], tf.int32))
        >>> sorted(terms)
        ['inter_c2c', 'inter_c2p', 'intra_c2p']
    """

    def __init__(
        self,
        num_classes: int,
        terms: Iterable[str] | Mapping[str, float] = TERMS,
        *,
        centers: str = "batch",
        moving_average: float | None = None,
        pooling: int = 1,
        settings: ClassAwareSettings | Mapping[str, Any] | str | None = None,
        labels: str = "given",
        threshold: float = 0.9,
        check_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.num_classes = _in_range(2, MOST_CLASSES, "num_classes", num_classes)
        self.pooling = _in_range(1, LARGEST_POOLING, "pooling", pooling)
        self.weights_of_terms = _weights_of_terms(terms)
        if centers not in ("batch", "image"):
            raise ValueError(f"centers must be 'batch' or 'image', not {centers!r}")
        if moving_average is not None and not (is_number(moving_average) and 0 <= moving_average < 1):
            raise ValueError(f"moving_average must be None or lie in [0, 1), not {moving_average!r}")
        if moving_average is not None and centers == "image":
            raise ValueError("a moving average needs centers='batch', not 'image'")
        if labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, not {labels!r}")
        if not (is_number(threshold) and 0 < threshold <= 1):
            raise ValueError(f"threshold must lie in (0, 1], not {threshold!r}")
        self.centers, self.moving_average = centers, moving_average
        self.labels, self.threshold = labels, float(threshold)
        if not isinstance(check_inputs, bool):
            raise ValueError(f"check_inputs must be True or False, not {check_inputs!r}")
        self.settings, self.check_inputs = ClassAwareSettings.of(settings), check_inputs
        self.moving_centers = []

    def build(self, input_shape: Sequence[int | None] | Sequence[Sequence[int | None]]) -> None:
        if self.moving_average is not None:
            several = input_shape[0] is not None and not isinstance(input_shape[0], int)
            for index, shape in enumerate(input_shape if several else [input_shape]):
                self.moving_centers.append(self._add_moving_centers(index, shape[-1]))
        super().build(input_shape)

    def _add_moving_centers(self, index, channels):
        return self.add_weight(
            name=f"centers_{index}",
            shape=[self.num_classes, channels],
            initializer="glorot_uniform",
            trainable=False,
            **AVERAGED,
        )

    def call(
        self, features: Tensor | Sequence[Tensor], labels: Tensor | None = None, logits: Tensor | None = None
    ) -> dict[str, Tensor]:
        totals = {}
        for index, (branch, known) in enumerate(self._labeled_branches(features, labels, logits)):
            for name, value in self._terms_of_branch(branch, known, index).items():
                totals[name] = totals[name] + value if name in totals else value
        return totals

    def diagnose(
        self, features: Tensor | Sequence[Tensor], labels: Tensor | None = None, logits: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What `car.class_statistics` measures of the same pixels, averaged over the branches."""
        measured = [
            class_statistics(*labelled_pixels(branch, known, self.num_classes, self.pooling), self.num_classes)
            for branch, known in self._labeled_branches(features, labels, logits)
        ]
        return {name: ops.add_n([one[name] for one in measured]) / len(measured) for name in measured[0]}

    def _labeled_branches(self, features, labels, logits):
        """(features, labels) of each branch, once they are found to be right."""
        branches = tuple(features) if isinstance(features, tuple | list) else (features,)
        branches = tuple(ops.convert_to_tensor(branch) for branch in branches)
        self._check_given(labels, logits)
        if self.labels == "predicted":
            labels = None
            check_branches(branches, ops.static_shape(logits))
        else:
            labels = ops.convert_to_tensor(labels)
            check_shapes(branches, labels)
            labels = ops.cast(labels, "int32")
            labels = check_values(branches, labels, self.num_classes) if self.check_inputs else labels
        if self.labels == "given":
            return [(branch, labels) for branch in branches]
        logits = ops.convert_to_tensor(logits)
        return [(branch, labels_at(spatial_size(branch), logits, self.threshold, labels)) for branch in branches]

    def _check_given(self, labels, logits):
        """Raises ValueError unless the call has what the labels come from."""
        if labels is None and self.labels != "predicted":
            raise ValueError(f"labels={self.labels!r} needs labels [N, H, W]")
        if (logits is None) != (self.labels == "given"):
            raise ValueError(
                f"labels={self.labels!r} takes no logits"
                if logits is not None
                else f"labels={self.labels!r} needs logits"
            )
        if logits is not None:
            shape = ops.static_shape(logits)
            if shape is None or len(shape) != 4 or shape[-1] != self.num_classes:
                raise ValueError(f"logits must be [N, H, W, {self.num_classes}], not {shape}")

    def _terms_of_branch(self, features, labels, index):
        pixels, labels = labelled_pixels(features, labels, self.num_classes, self.pooling)
        if self.centers == "batch":
            pixels, labels = ops.reshape(pixels, [1, -1, pixels.shape[-1]]), ops.reshape(labels, [1, -1])
        centers, counts = self._centers(pixels, labels, index)
        losses = {
            "intra_c2p": lambda: intra_center_to_pixel(pixels, labels, centers, self.settings),
            "inter_c2c": lambda: inter_center_to_center(centers, self.settings),
            "inter_c2p": lambda: inter_center_to_pixel(pixels, labels, centers, self.settings),
        }
        terms = {name: weight * losses[name]() for name, weight in self.weights_of_terms.items()}
        if self.labels == "given":
            return terms
        total = ops.sum(counts)
        any_labeled = (total if self.centers == "batch" else ops.sum_over_replicas(total)) > 0
        return {name: ops.where(any_labeled, value, ops.zeros_like(value)) for name, value in terms.items()}

    def _centers(self, pixels, labels, index):
        over_replicas = self.centers == "batch"
        centers, counts = class_centers(pixels, labels, self.num_classes, over_replicas=over_replicas)
        if self.moving_average is None:
            return centers, counts
        variable = self.moving_centers[index]
        old = ops.cast(variable, centers.dtype)[ops.newaxis]
        moved = ops.stop_gradient(moved_centers(old, centers, counts, self.moving_average))
        variable.assign(ops.cast(moved[0], variable.dtype))
        return moved, counts

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "terms": dict(self.weights_of_terms),
            "centers": self.centers,
            "moving_average": self.moving_average,
            "pooling": self.pooling,
            "settings": dataclasses.asdict(self.settings),
            "labels": self.labels,
            "threshold": self.threshold,
            "check_inputs": self.check_inputs,
        }


def _in_range(least, most, name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
    if value > most:
        raise ValueError(f"{name} must be an integer of at most {most}, not {value!r}")
    return value


def _weights_of_terms(terms):
    """{name: weight above 0} in the order of `TERMS`."""
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise ValueError(f"terms must be names of {', '.join(TERMS)}, or a mapping of them to weights, not {terms!r}")
    pairs = list(terms.items()) if isinstance(terms, Mapping) else [(name, 1.0) for name in terms]
    for name, weight in pairs:
        if name not in TERMS:
            raise ValueError(f"terms are {', '.join(TERMS)}, not {name!r}")
        if not (isinstance(weight, bool) or (is_number(weight) and weight >= 0)):
            raise ValueError(f"the weight of {name} must be at least 0, not {weight!r}")
    weights = dict(pairs)
    kept = {name: float(weights[name]) for name in TERMS if weights.get(name)}
    if not kept:
        raise ValueError(f"terms must name at least one of {', '.join(TERMS)}")
    return kept
