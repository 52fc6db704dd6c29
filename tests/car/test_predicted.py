"""CAR without masks: labels from what a classifier is sure of, and their terms against the literal twin."""

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareEndpoint, ClassAwareRegularizer, completed_labels, predicted_labels
from tests.car.examples import DEFAULT, IGNORED, finite_differences, literal_terms, random_pixels
from tests.literal import car as literal

K, THRESHOLD = 5, 0.6


def random_logits(seed=3, shape=(2, 4, 5)):
    return 3 * np.random.default_rng(seed).normal(size=[*shape, K])


def test_a_predicted_label_is_the_likeliest_class_of_a_confident_pixel():
    logits = random_logits()
    labels = predicted_labels(tf.constant(logits), THRESHOLD).numpy()
    np.testing.assert_array_equal(labels, literal.predicted_labels(logits, THRESHOLD))
    assert labels.dtype == np.int32 and 0 < np.mean(labels == IGNORED) < 1
    assert np.all(predicted_labels(tf.zeros([1, 2, 2, 300]), 0.5) == 300)  # where 255 is a class


def test_a_picture_without_a_label_gets_predicted_ones_and_every_other_keeps_its_own():
    logits, (_, labels) = random_logits(), random_pixels()
    labels[0] = IGNORED
    labels[1, 0] = IGNORED
    expected = np.stack([literal.predicted_labels(logits, THRESHOLD)[0], labels[1]])
    np.testing.assert_array_equal(completed_labels(tf.constant(labels), tf.constant(logits), THRESHOLD), expected)
    coarse = np.full([2, 7, 9], IGNORED, "int32")  # of another size than the logits: the nearest, corners aligned
    resized = completed_labels(tf.constant(coarse), tf.constant(logits), THRESHOLD).numpy()
    np.testing.assert_array_equal(resized[:, ::2, ::2], literal.predicted_labels(logits, THRESHOLD))


@pytest.mark.parametrize("labels", ("predicted", "completed"))
def test_terms_and_gradients_are_those_of_the_labels(labels):
    features, given = random_pixels()
    given[0] = IGNORED
    logits = random_logits()
    own = literal.predicted_labels(logits, THRESHOLD)
    own = own if labels == "predicted" else np.stack([own[0], given[1]])
    regularizer = ClassAwareRegularizer(K, labels=labels, threshold=THRESHOLD)
    inputs = tf.constant(features), tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        terms = regularizer(inputs[0], None if labels == "predicted" else given, inputs[1])
        total = tf.add_n(list(terms.values()))
    for name, expected in literal_terms(features, own, K, DEFAULT).items():
        np.testing.assert_allclose(terms[name], expected, rtol=1e-12)
    of_features, of_logits = tape.gradient(total, inputs)
    assert of_logits is None

    def literal_total(moved):
        return sum(literal_terms(moved, own, K, DEFAULT, fixed_at=features).values())

    np.testing.assert_allclose(of_features, finite_differences(literal_total, features), atol=1e-8)


@pytest.mark.parametrize("labels", ("predicted", "completed"))
def test_probabilities_are_made_of_the_pixels_that_are_read_alone(labels):
    regularizer = ClassAwareRegularizer(K, labels=labels)
    given = None if labels == "predicted" else tf.zeros([2, 33, 41], tf.int32)
    traced = tf.function(lambda features, logits: regularizer(features, given, logits))
    graph = traced.get_concrete_function(tf.zeros([2, 5, 6, 3]), tf.zeros([2, 33, 41, K])).graph
    sizes = [op.outputs[0].shape.as_list() for op in graph.get_operations() if op.type in ("Softmax", "ArgMax", "Max")]
    assert [2, 5, 6] in sizes and all(np.prod(size) <= 2 * 5 * 6 * K for size in sizes)


@pytest.mark.parametrize("arguments", ({}, {"settings": "author"}, {"centers": "image"}, {"moving_average": 0.9}))
@pytest.mark.parametrize("jit", (False, True))
def test_where_nothing_is_confident_all_terms_and_gradients_are_zero(arguments, jit):
    features = tf.constant(random_pixels()[0], tf.float32)
    regularizer = ClassAwareRegularizer(K, labels="predicted", threshold=0.5, **arguments)
    regularizer.build(features.shape)

    @tf.function(jit_compile=jit)
    def terms_and_gradient(features, logits):
        with tf.GradientTape() as tape:
            tape.watch(features)
            terms = regularizer(features, None, logits)
            total = tf.add_n(list(terms.values()))
        return list(terms.values()), tape.gradient(total, features)

    terms, gradient = terms_and_gradient(features, tf.zeros([2, 4, 5, K]))
    assert all(term == 0 for term in terms)
    np.testing.assert_array_equal(gradient, np.zeros(features.shape))


@pytest.mark.parametrize(
    "arguments, inputs, words",
    (
        ({"labels": "guessed"}, (), "labels must be one of given, predicted, completed, not 'guessed'"),
        ({"threshold": 0}, (), r"threshold must lie in \(0, 1\], not 0"),
        ({"labels": "predicted"}, (None, None), "labels='predicted' needs logits"),
        ({"labels": "completed"}, (None, tf.zeros([2, 4, 5, K])), r"labels='completed' needs labels \[N, H, W\]"),
        ({}, (tf.zeros([2, 4, 5], tf.int32), tf.zeros([2, 4, 5, K])), "labels='given' takes no logits"),
        ({"labels": "predicted"}, (None, tf.zeros([2, 4, 5, 3])), r"logits must be \[N, H, W, 5\], not \(2, 4, 5, 3\)"),
        ({"labels": "predicted"}, (None, tf.zeros([1, 4, 5, K])), "features and labels differ in batch size"),
    ),
)
def test_what_makes_no_sense_is_an_error(arguments, inputs, words):
    with pytest.raises(ValueError, match=words):
        ClassAwareRegularizer(K, **arguments)(tf.zeros([2, 4, 5, 3]), *inputs)


def test_the_endpoint_takes_labels_only():
    with pytest.raises(ValueError, match=r"the endpoint takes the labels that it is given, not labels='predicted'"):
        ClassAwareEndpoint(K, labels="predicted")
