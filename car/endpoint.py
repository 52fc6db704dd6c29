"""Class-aware regularization for `model.fit`."""

import types
from typing import Any

from car.regularizer import ClassAwareRegularizer
from deeplab_ksac.any_keras import BACKEND, keras
from deeplab_ksac.tensor_ops import Tensor, ops

STATISTICS = ("intra_class_variance", "center_similarity")


@keras.saving.register_keras_serializable("car")
class ClassAwareEndpoint(ClassAwareRegularizer):
    """`ClassAwareRegularizer` as a layer that adds its terms to a Keras model's loss: (features, labels) -> features.

    The features pass unchanged. In training each term is added to the loss and, with the measures of
    `car.class_statistics`, to what `fit` logs. Without labels, or when not in training, nothing at all is computed, and
    what `evaluate` logs of them is 0. On JAX `fit` logs the loss alone: Keras drops there what a layer writes to its
    metrics. The model that is exported is best built without the layer, from the same tensors. Arguments as
    `ClassAwareRegularizer`.

    `fit` divides what layers add to the loss by the number of replicas, which makes the sum over the replicas the loss
    of the global batch. A training loop of one's own has to divide `sum(model.losses)` so, or better, to call
    `ClassAwareRegularizer`.

    Example:
        >>> labels = keras.Input([513, 513], dtype="int32")
        >>> regularized = ClassAwareEndpoint(num_classes=59)(features, labels)
        >>> training_model = keras.Model([image, labels], classifier(regularized))
        >>> inference_model = keras.Model(image, classifier(features))
    """

    def __init__(self, num_classes: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(num_classes, *args, **kwargs)
        if self.labels != "given":
            raise ValueError(
                f"the endpoint takes the labels that it is given, not labels={self.labels!r}; car.predicted_labels and "
                "car.completed_labels make them of logits"
            )
        logged = () if BACKEND == "jax" else (*self.weights_of_terms, *STATISTICS)
        self.latest = types.SimpleNamespace(losses={})  # of each replica; not for Keras, which would keep it as a state
        self.logged = {name: keras.metrics.Mean(name, dtype=self.variable_dtype) for name in logged}

    def call(self, features: Tensor, labels: Tensor | None = None, training: bool | None = None) -> Tensor:
        if labels is None or not training:
            return features
        terms = super().call(features, labels)
        total = ops.add_n(list(terms.values()))
        self.add_loss(total)
        if ops.replica() is not None:
            self.latest.losses[ops.replica()] = total
        if self.logged:
            for name, value in {**terms, **self.diagnose(features, labels)}.items():
                self.logged[name].update_state(value)
        return features

    def _get_own_losses(self):
        """What was added, without what other replicas have: Keras 3 has one list, and they call a layer in turn."""
        others = [id(loss) for replica, loss in self.latest.losses.items() if replica != ops.replica()]
        return [loss for loss in super()._get_own_losses() if id(loss) not in others]
