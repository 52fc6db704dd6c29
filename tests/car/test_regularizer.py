"""ClassAwareRegularizer: what it takes, what it refuses, and where it runs."""

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareRegularizer, class_statistics
from car.pixels import labelled_pixels
from deeplab_ksac.any_keras import keras
from tests.car.examples import TERMS, literal_terms, random_pixels
from tests.literal import car as literal


def as_float32(features, labels):
    return tf.constant(features, tf.float32), tf.constant(labels)


def test_terms_are_chosen_and_weighted():
    features, labels = random_pixels()
    every = ClassAwareRegularizer(5)(features, labels)
    assert tuple(every) == TERMS
    some = ClassAwareRegularizer(5, {"inter_c2p": 0.5, "intra_c2p": True, "inter_c2c": False})(features, labels)
    assert list(some) == ["intra_c2p", "inter_c2p"]
    assert some["intra_c2p"] == every["intra_c2p"]
    assert some["inter_c2p"] == 0.5 * every["inter_c2p"]
    assert list(ClassAwareRegularizer(5, ["inter_c2c"])(features, labels)) == ["inter_c2c"]


def test_labels_of_the_image_are_resized_inside():
    features, _ = random_pixels(shape=(2, 3, 5))
    labels = np.random.default_rng(1).integers(0, 5, [2, 17, 33])
    resized = np.array([literal.resize_nearest(image, 3, 5) for image in labels])
    regularizer = ClassAwareRegularizer(5)
    expected = literal_terms(features, resized, 5, regularizer.settings)
    for name, value in regularizer(features, labels).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-13)


def test_branches_have_their_own_centers_and_their_terms_are_summed():
    (one, labels), (other, _) = random_pixels(0), random_pixels(1, channels=3)
    regularizer = ClassAwareRegularizer(5, moving_average=0.9)
    plain = ClassAwareRegularizer(5)
    both = plain((one, other), labels)
    for name, value in both.items():
        np.testing.assert_allclose(value, plain(one, labels)[name] + plain(other, labels)[name], rtol=1e-15)
    regularizer((one, other), labels)
    assert [list(weight.shape) for weight in regularizer.weights] == [[5, 6], [5, 3]]
    measured = plain.diagnose((one, other), labels)
    for name, value in measured.items():
        mean = (plain.diagnose(one, labels)[name] + plain.diagnose(other, labels)[name]) / 2
        np.testing.assert_allclose(value, mean, rtol=1e-15)


def test_what_is_measured_is_of_the_pixels_that_are_regularized():
    features, labels = random_pixels(shape=(2, 6, 7))
    measured = ClassAwareRegularizer(5, pooling=2).diagnose(features, labels)
    pixels = labelled_pixels(tf.constant(features), tf.constant(labels), 5, pooling=2)
    for name, value in class_statistics(*pixels, 5).items():
        assert measured[name] == value != ClassAwareRegularizer(5).diagnose(features, labels)[name]


def test_moving_centers_follow_the_batches_and_take_the_place_of_their_centers():
    features, labels = as_float32(*random_pixels())
    regularizer = ClassAwareRegularizer(5, moving_average=0.8)
    regularizer.build(features.shape)
    assert not regularizer.trainable_weights
    start = regularizer.moving_centers[0].numpy()
    with tf.GradientTape() as tape:
        tape.watch(features)
        terms = regularizer(features, labels)
    batch = literal.class_centers(features.numpy().reshape([-1, 6]), labels.numpy().ravel(), 5)
    moved = start + 0.2 * (batch - start)
    moved[3] = start[3]
    np.testing.assert_allclose(regularizer.moving_centers[0], moved, rtol=1e-5, atol=1e-6)
    expected = np.mean(literal.inter_c2c(moved, moved, 0.5) ** 2)
    np.testing.assert_allclose(terms["inter_c2c"], expected, rtol=1e-5)
    assert tape.gradient(terms["inter_c2c"], features) is None


@pytest.mark.parametrize("arguments", [{}, {"centers": "image"}, {"settings": "author"}, {"settings": "thesis"}])
def test_compiled_and_traced_terms_and_gradients_are_the_eager_ones(arguments):
    features, labels = as_float32(*random_pixels())
    regularizer = ClassAwareRegularizer(5, **arguments)

    def total_and_gradient(features, labels):
        with tf.GradientTape() as tape:
            tape.watch(features)
            total = tf.add_n(list(regularizer(features, labels).values()))
        return total, tape.gradient(total, features)

    expected = total_and_gradient(features, labels)
    unknown = [tf.TensorSpec([None, None, None, 6]), tf.TensorSpec([None, None, None], tf.int32)]
    for traced in (
        tf.function(total_and_gradient, input_signature=unknown),
        tf.function(total_and_gradient, jit_compile=True),
    ):
        for one, other in zip(expected, traced(features, labels), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_half_precision_features_give_the_terms_of_float32(mixed_policy):
    features, labels = random_pixels()
    half = tf.cast(features, keras.mixed_precision.Policy(mixed_policy).compute_dtype)
    regularizer, twin = ClassAwareRegularizer(5, moving_average=0.9), ClassAwareRegularizer(5, moving_average=0.9)
    for layer in (regularizer, twin):
        layer.build(half.shape)
        layer.set_weights([np.full([5, 6], 0.1)])
    expected = twin(tf.cast(half, tf.float32), labels)
    for name, value in regularizer(half, labels).items():
        assert value.dtype == tf.float32
        assert value == expected[name]
    assert regularizer.moving_centers[0].dtype == tf.float32
    np.testing.assert_array_equal(regularizer.get_weights(), twin.get_weights())


def test_the_configuration_makes_an_equal_regularizer():
    regularizer = ClassAwareRegularizer(
        5, {"inter_c2c": 0.5}, centers="image", pooling=2, settings="author", check_inputs=False
    )
    again = ClassAwareRegularizer.from_config(regularizer.get_config())
    assert again.get_config() == regularizer.get_config()
    assert again.settings == regularizer.settings
    predicted = ClassAwareRegularizer.from_config(
        ClassAwareRegularizer(5, labels="predicted", threshold=0.7).get_config()
    )
    assert (predicted.labels, predicted.threshold, again.check_inputs) == ("predicted", 0.7, False)
    assert (
        ClassAwareRegularizer.from_config(ClassAwareRegularizer(5, moving_average=0.9).get_config()).moving_average
        == 0.9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "num_classes must be an integer of at least 2, not 1"),
        ({"pooling": 0}, "pooling must be an integer of at least 1, not 0"),
        ({"terms": ["intra"]}, "terms are intra_c2p, inter_c2c, inter_c2p, not 'intra'"),
        ({"terms": {"intra_c2p": -1}}, "the weight of intra_c2p must be at least 0, not -1"),
        ({"terms": {"intra_c2p": 0}}, "terms must name at least one of intra_c2p, inter_c2c, inter_c2p"),
        ({"centers": "epoch"}, "centers must be 'batch' or 'image', not 'epoch'"),
        ({"moving_average": 1.0}, r"moving_average must be None or lie in \[0, 1\), not 1.0"),
        ({"moving_average": 0.9, "centers": "image"}, "needs centers='batch', not 'image'"),
        ({"settings": {"c2c_threshold": 2}}, r"c2c_threshold must lie in \[0, 1\], not 2"),
    ],
)
def test_wrong_arguments_are_refused_with_their_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassAwareRegularizer(**{"num_classes": 5, **arguments})


@pytest.mark.parametrize("value", (float("nan"), float("inf"), "0.5", True))
def test_a_number_that_is_none_is_refused(value):
    if value is not True:  # as a weight it is 1
        with pytest.raises(ValueError, match=f"the weight of intra_c2p must be at least 0, not {value!r}"):
            ClassAwareRegularizer(5, {"intra_c2p": value})
    with pytest.raises(ValueError, match=rf"moving_average must be None or lie in \[0, 1\), not {value!r}"):
        ClassAwareRegularizer(5, moving_average=value)
    for name in ("num_classes", "pooling"):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least ., not {value!r}"):
            ClassAwareRegularizer(**{"num_classes": 5, name: value})


@pytest.mark.parametrize("value", ("intra_c2p", 3, None))
def test_terms_are_names_or_weights_by_name(value):
    with pytest.raises(ValueError, match=f"terms must be names of intra_c2p, .*, not {value!r}"):
        ClassAwareRegularizer(5, value)


@pytest.mark.parametrize("bad", [5, 254, -1, 256])
def test_a_label_that_is_none_is_refused_and_named(bad):
    features, labels = as_float32(*random_pixels())
    labels = tf.tensor_scatter_nd_update(labels, [[1, 2, 3]], [bad])
    regularizer = ClassAwareRegularizer(5)
    with pytest.raises(ValueError, match=rf"labels must lie in 0…4 or be 255 \(ignored\), not {bad}"):
        regularizer(features, labels)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"must lie in 0(.|\n)*{bad}"):
        tf.function(regularizer)(features, labels)
    unchecked = ClassAwareRegularizer(5, check_inputs=False)(features, labels)
    ignored = regularizer(features, tf.where(labels == bad, 255, labels))
    for name, value in unchecked.items():
        assert value == ignored[name]


def test_features_and_labels_of_different_batch_size_are_refused():
    features, labels = as_float32(*random_pixels())
    regularizer = ClassAwareRegularizer(5)
    with pytest.raises(ValueError, match=r"differ in batch size: features are \(1, 4, 5, 6\), labels \(2, 4, 5\)"):
        regularizer(features[:1], labels)
    unknown = [tf.TensorSpec([None, 4, 5, 6]), tf.TensorSpec([None, 4, 5], tf.int32)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="features and labels differ in batch size"):
        tf.function(regularizer, input_signature=unknown)(features[:1], labels)


def test_features_and_labels_that_are_no_maps_are_refused():
    features, labels = as_float32(*random_pixels())
    regularizer = ClassAwareRegularizer(5)
    with pytest.raises(ValueError, match="labels must be integers, not float32"):
        regularizer(features, tf.cast(labels, tf.float32))
    with pytest.raises(ValueError, match=r"labels must be \[N, H, W\], not \(2, 4, 5, 1\)"):
        regularizer(features, labels[..., tf.newaxis])
    with pytest.raises(ValueError, match=r"features must be floats \[N, h, w, C\], not float32 \(2, 20, 6\)"):
        regularizer(tf.reshape(features, [2, 20, 6]), labels)
