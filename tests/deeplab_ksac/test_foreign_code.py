"""What is of somebody else in a model: AutoGraph converts it, so that it may branch on tensors wherever it is run."""

import dataclasses

import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.flops.count import count_multiply_adds, model_graph
from deeplab_ksac.foreign_code import has_foreign_code, names_foreign_code
from deeplab_ksac.model import build_model
from deeplab_ksac.prediction.scores import logits_function
from tests.deeplab_ksac.tiny_backbone import tiny_backbone

SMALL = ModelSpec(backbone=part("mobilenet_v2", alpha=0.1), head=part("fcn", filters=4), bottleneck=None)


class Doubtful(keras.layers.Layer):
    """A head that branches on a tensor."""

    def call(self, pyramid):
        features = pyramid["c5"]
        if tf.reduce_mean(features) < 1e9:
            features = features + 1.0
        return {"features": features}


class Nested(keras.layers.Layer):
    """Of this test, with a layer of the same kind in a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Doubtful(name="inner")]

    def call(self, pyramid):
        return self.parts[0](pyramid)


def test_what_is_of_this_package_and_of_keras_is_not_foreign():
    model = build_model(SMALL, 3)
    assert not has_foreign_code(model) and not names_foreign_code(SMALL)
    image = keras.Input([None, None, 3])
    lambdas = [keras.layers.Lambda(function)(image) for function in (lambda x: x, tf.identity)]
    assert [has_foreign_code(keras.Model(image, each)) for each in lambdas] == [True, False]
    assert has_foreign_code(model, [Doubtful]) and not has_foreign_code(model, [tf.identity, keras.layers.ReLU()])


def test_a_part_is_named_in_the_arguments_of_another():
    inner = {"name": "mine.py:Head", "args": {}}
    spec = dataclasses.replace(SMALL, head=part("sequential", heads=[{"name": "fcn", "args": {}}, inner]))
    assert names_foreign_code(spec)


@pytest.mark.parametrize("head", (Doubtful, Nested))
def test_a_head_that_branches_on_a_tensor_is_predicted_and_counted(head):
    model = build_model(dataclasses.replace(SMALL, backbone=part(tiny_backbone), head=part(head)), 3)
    image = tf.random.stateless_uniform([1, 33, 33, 3], [1, 2], 0, 255)
    logits = model(image, training=False)["logits"]  # eagerly, where Python may ask a tensor
    tf.debugging.assert_near(logits_function(model)(image), logits, rtol=1e-5, atol=1e-5)
    assert count_multiply_adds(model_graph(model, 33, 33))


def test_a_blank_model_has_the_layers_of_a_new_one_and_begins_with_zeros_where_nobody_else_fills_it():
    new, blank = build_model(SMALL, 3), build_model(SMALL, 3, blank=True)
    assert [(each.name, each.shape) for each in new.weights] == [(each.name, each.shape) for each in blank.weights]
    assert not any(tf.math.count_nonzero(each) for each in blank.weights)
    of_ones_own = build_model(dataclasses.replace(SMALL, backbone=part(tiny_backbone)), 3, blank=True)
    assert any(tf.math.count_nonzero(each) for each in of_ones_own.weights)
