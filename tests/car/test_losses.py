"""The losses and their gradients against Eq. 4.2–4.14 and the author's variants."""

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareRegularizer
from tests.car.examples import IGNORED, SETTINGS, finite_differences, literal_terms, random_pixels

DEFAULT = SETTINGS["defaults"]


def terms_and_gradients(features, labels, num_classes, **arguments):
    """{term: (value, gradient with respect to the features)} of a regularizer."""
    regularizer = ClassAwareRegularizer(num_classes, **arguments)
    x = tf.constant(features)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        terms = regularizer(x, labels)
    return {name: (value, tape.gradient(value, x, unconnected_gradients="zero")) for name, value in terms.items()}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_terms_and_gradients_are_those_of_the_equations(settings):
    features, labels = random_pixels(1, shape=(2, 2, 4), channels=3)
    assert (labels == IGNORED).any()
    assert not (labels == 3).any()
    expected = literal_terms(features, labels, 5, settings)
    for name, (value, gradient) in terms_and_gradients(features, labels, 5, settings=settings).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-13, err_msg=name)
        numeric = finite_differences(
            lambda x, name=name: literal_terms(x, labels, 5, settings, fixed_at=features)[name], features
        )
        # Rounding of 2⁻⁵³ · 100 over a step of 1e-6, and the cubic remainder of 1e-12.
        np.testing.assert_allclose(gradient, numeric, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("num_classes", [2, 171])
def test_few_and_many_classes_are_the_equations(num_classes):
    features, labels = random_pixels(num_classes=num_classes, absent=())
    expected = literal_terms(features, labels, num_classes, DEFAULT)
    for name, (value, gradient) in terms_and_gradients(features, labels, num_classes).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12, err_msg=name)
        assert np.isfinite(gradient).all()


def test_centers_of_images_regularize_each_image_for_itself():
    features, labels = random_pixels(ignored=0)
    each = [literal_terms(x[np.newaxis], y[np.newaxis], 5, DEFAULT) for x, y in zip(features, labels, strict=True)]
    for name, (value, _) in terms_and_gradients(features, labels, 5, centers="image").items():
        np.testing.assert_allclose(value, np.mean([terms[name] for terms in each]), rtol=1e-13, err_msg=name)


def test_a_fixed_center_changes_no_gradient_of_the_intra_term():
    features, labels = random_pixels()
    moving = terms_and_gradients(features, labels, 5, settings={"fixed_centers": ()})["intra_c2p"]
    fixed = terms_and_gradients(features, labels, 5)["intra_c2p"]
    np.testing.assert_allclose(moving[1], fixed[1], atol=1e-15)
    assert np.abs(fixed[1]).max() > 1e-3


def test_features_that_equal_their_centers_have_no_intra_loss_and_no_gradient():
    labels = np.array([[[0, 1], [2, 2]]])
    features = np.eye(3)[labels]
    for reduction in ("mean_of_squares", "square_of_mean"):
        value, gradient = terms_and_gradients(features, labels, 3, settings={"reduction": reduction})["intra_c2p"]
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(features))


def test_ignored_pixels_move_nothing_unless_counted():
    features, labels = random_pixels(ignored=0.5)
    ignored = labels == IGNORED
    for name, (_, gradient) in terms_and_gradients(features, labels, 5).items():
        assert not gradient.numpy()[ignored].any(), name
        assert gradient.numpy()[~ignored].any(), name
    counted = terms_and_gradients(features, labels, 5, settings={"ignored_pixels": "counted"})
    assert not counted["intra_c2p"][1].numpy()[ignored].any()
    assert counted["inter_c2p"][1].numpy()[ignored].any()


def test_below_its_floor_the_intra_term_has_no_gradient():
    features, labels = random_pixels()
    value, gradient = terms_and_gradients(1e-3 * features, labels, 5, settings="author")["intra_c2p"]
    np.testing.assert_allclose(value, 1e-5, rtol=1e-15)
    assert not gradient.numpy().any()


@pytest.mark.parametrize("settings", [None, "thesis", "author"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("case", ["all_ignored", "single_class", "one_image_ignored"])
@pytest.mark.parametrize("num_classes", [2, 171])
def test_losses_and_gradients_are_finite_whatever_the_labels_and_the_size(settings, dtype, case, num_classes):
    features, labels = random_pixels(num_classes=num_classes, absent=())
    if case == "single_class":
        labels = np.zeros_like(labels)
    else:
        labels[: 1 if case == "one_image_ignored" else 2] = IGNORED
    for centers in ("batch", "image"):
        results = terms_and_gradients(
            tf.cast(1000 * features, dtype), labels, num_classes, settings=settings, centers=centers
        )
        for name, (value, gradient) in results.items():
            assert value.dtype == tf.float32
            assert gradient.dtype == dtype
            assert np.isfinite(value), name
            assert np.isfinite(tf.cast(gradient, tf.float32)).all(), name
