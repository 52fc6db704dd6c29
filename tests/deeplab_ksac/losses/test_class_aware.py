"""CAR as a loss of an experiment, with labels that are given, predicted, or predicted where there are none."""

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareRegularizer, completed_labels
from deeplab_ksac.experiment import part
from deeplab_ksac.losses import build_objective

K = 3
RNG = np.random.default_rng(0)
OUTPUTS = {
    "logits": tf.constant(RNG.normal(size=[2, 8, 8, K]), tf.float32),
    "aux_logits": tf.constant(9 * RNG.normal(size=[2, 8, 8, K]), tf.float32),
    "features": tf.constant(RNG.normal(size=[2, 4, 4, 5]), tf.float32),
}
UNLABELED = tf.fill([2, 8, 8], 255)


def test_pictures_without_labels_contribute_the_terms_of_their_predicted_classes():
    car = part("class_aware", labels="completed", predicted_from="aux_logits", threshold=0.8)
    objective = build_objective((part("cross_entropy"), car), K)
    objective.build(OUTPUTS)
    terms = objective(OUTPUTS, UNLABELED)
    labels = completed_labels(UNLABELED, OUTPUTS["aux_logits"], 0.8)
    expected = ClassAwareRegularizer(K)(OUTPUTS["features"], labels)
    assert terms.pop("cross_entropy/logits") == 0
    assert {name.removeprefix("class_aware/") for name in terms} == set(expected)
    for name, value in expected.items():
        assert terms[f"class_aware/{name}"] == value
    assert terms["class_aware/intra_c2p"] > 0
    measured = objective.diagnose(OUTPUTS, UNLABELED)["class_aware/intra_class_variance"]
    assert measured == ClassAwareRegularizer(K).diagnose(OUTPUTS["features"], labels)["intra_class_variance"]


def test_all_arguments_reach_the_layer():
    for given in (
        {"terms": {"intra_c2p": 0.5}, "centers": "image", "pooling": 2, "settings": "author", "check_inputs": False},
        {"moving_average": 0.8, "labels": "predicted", "threshold": 0.7},
    ):
        (loss,) = build_objective((part("class_aware", **given),), K).losses
        found, expected = (layer.get_config() for layer in (loss.regularizer, ClassAwareRegularizer(K, **given)))
        del found["name"], expected["name"]
        assert found == expected


def test_predicted_labels_take_no_notice_of_the_given_ones():
    objective = build_objective((part("class_aware", labels="predicted", threshold=0.5),), K)
    for labels in (UNLABELED, tf.zeros_like(UNLABELED)):
        assert objective(OUTPUTS, labels) == objective(OUTPUTS, UNLABELED)


def test_logits_that_the_model_has_not_are_named():
    objective = build_objective((part("class_aware", labels="predicted", predicted_from="coarse_logits"),), K)
    with pytest.raises(ValueError, match="predicted_from must be one of logits, aux_logits, not 'coarse_logits'"):
        objective.build(OUTPUTS)
