"""KSAC with rates of its own against interpolated Algorithm 1, and against the fixed form at whole rates."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac import KernelSharingAtrousConv
from deeplab_ksac.any_keras import keras
from deeplab_ksac.fractional_rates import SPEED, ExperimentalKernelSharingAtrousConv, fractional_atrous_products
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.shared_products import shared_atrous_products
from tests.literal.ksac import fractional_atrous_convolutions
from tests.random_layers import randomize

RATES = np.array([[1.0, 2.25, 6.5], [3.75, 0.5, 30.5]])  # of two pictures


def random(shape, seed=0, dtype="float64"):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def outputs_and_gradients(features, kernel, rates):
    with tf.GradientTape() as tape:
        tape.watch([features, kernel, rates])
        branches = fractional_atrous_products(features, kernel, rates)
        total = tf.add_n([tf.reduce_sum(tf.sin(branch) * (r + 1)) for r, branch in enumerate(branches)])
    return [*branches, *tape.gradient(total, [features, kernel, rates])]


@pytest.mark.parametrize("size", ((9, 9), (3, 5), (1, 7)))
def test_a_fractional_rate_lies_between_two_of_algorithm_1(size):
    features, kernel = random((2, *size, 3)), random((3, 3, 3, 4), seed=1)
    ours = fractional_atrous_products(features, kernel, tf.constant(RATES))
    for branch, expected in zip(
        ours, fractional_atrous_convolutions(features.numpy(), kernel.numpy(), RATES), strict=True
    ):
        np.testing.assert_allclose(branch, expected, atol=1e-12)


def test_at_whole_rates_it_is_exactly_the_fixed_form():
    rng, rates = np.random.default_rng(0), (1, 2, 6, 30)
    features = tf.constant(rng.integers(-8, 9, (2, 7, 8, 3)).astype("float32"))  # whole: sums in any order are exact
    kernel = tf.constant(rng.integers(-8, 9, (3, 3, 3, 4)).astype("float32"))
    ours = fractional_atrous_products(features, kernel, tf.constant([rates] * 2, tf.float32))
    for branch, expected in zip(ours, shared_atrous_products(features, kernel, rates), strict=True):
        np.testing.assert_array_equal(branch, expected)


def test_gradients_of_features_kernel_and_rates_are_the_finite_differences():
    products = tf.function(lambda *inputs: tf.concat(fractional_atrous_products(*inputs), -1))
    inputs = [random((2, 3, 4, 2)), random((3, 3, 2, 2), seed=1), tf.constant([[1.3, 2.6], [0.4, 1.7]], tf.float64)]
    theoretical, numerical = tf.test.compute_gradient(products, inputs, delta=1e-4)
    for ours, expected in zip(theoretical, numerical, strict=True):
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.parametrize("compiled", ("dynamic", "xla"))
def test_sizes_known_only_at_run_time_and_xla_change_nothing(compiled):
    shapes = [[None, None, None, 3], [3, 3, 3, 4], [None, 3]]
    signature = [tf.TensorSpec(shape, tf.float64) for shape in shapes]
    options = {"input_signature": signature} if compiled == "dynamic" else {"jit_compile": True}
    function = tf.function(outputs_and_gradients, **options)
    for size in ((9, 7), (2, 13)):
        inputs = random((2, *size, 3)), random((3, 3, 3, 4), seed=1), tf.constant(RATES)
        for ours, expected in zip(function(*inputs), outputs_and_gradients(*inputs), strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-11)


@pytest.mark.parametrize("rates", ("learned", "dynamic"))
def test_a_layer_begins_as_the_fixed_form_and_learns_its_rates(rates):
    features = random((2, 7, 6, 3))
    fixed = KernelSharingAtrousConv(4, (2, 5), norm=BatchNorm(), dtype="float64")
    layer = ExperimentalKernelSharingAtrousConv(4, (2, 5), rates=rates, norm=BatchNorm(), dtype="float64")
    fixed(features), layer(features)
    layer.kernel.assign(fixed.kernel)
    np.testing.assert_allclose(layer(features), fixed(features), atol=1e-12)
    np.testing.assert_array_equal(layer.rates_of(features), [[2, 5]] * 2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.sin(layer(features, training=True)))
    of_rates = [weight for weight in layer.trainable_weights if "rate_offset" in weight.name]
    assert of_rates and all(np.any(gradient != 0) for gradient in tape.gradient(total, of_rates))
    for weight in of_rates:
        assert not weight.name.split("/")[-1].startswith("kernel") or rates == "dynamic"


def test_a_dynamic_rate_is_that_of_its_picture_and_sees_rows_and_columns():
    layer = ExperimentalKernelSharingAtrousConv(4, (6, 12), rates="dynamic", bounds=(1, 200), hidden=5, dtype="float64")
    features = random((3, 6, 6, 3))
    layer(features)
    randomize(layer)
    layer.offset.bias.assign([3.0, 4.0])
    together = layer.rates_of(features).numpy()
    assert np.ptp(together, axis=0).min() > 0.01
    np.testing.assert_allclose(layer.rates_of(features[1:2]), together[1:2], atol=1e-12)
    kernel, bias = (weight.numpy() for weight in layer.axial.weights)
    last, first = (weight.numpy() for weight in layer.offset.weights)
    x = features.numpy()
    means = [np.maximum(x.mean(axis=axis) @ kernel + bias, 0).mean(axis=1) for axis in (2, 1)]
    expected = np.clip([6, 12] + SPEED * (np.concatenate(means, axis=-1) @ last + first), 1, 200)
    np.testing.assert_allclose(together, expected, atol=1e-12)


def test_rates_stay_within_their_bounds_and_come_back():
    layer = ExperimentalKernelSharingAtrousConv(2, (2, 3), bounds=(1.5, 4))
    features = random((1, 5, 5, 3), dtype="float32")
    layer(features)
    layer.rate_offsets.assign([-100.0, 100.0])
    np.testing.assert_array_equal(layer.rates_of(features), [[1.5, 4.0]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.rates_of(features) * [[1.0, 2.0]])
    np.testing.assert_array_equal(tape.gradient(total, layer.rate_offsets), [SPEED, 2 * SPEED])


@pytest.mark.parametrize("rates", ("learned", "dynamic"))
def test_rates_are_not_rounded_to_half_precision(rates):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = ExperimentalKernelSharingAtrousConv(2, (2, 3), rates=rates, hidden=3)
        features = random((1, 5, 5, 3), dtype="float32")
        assert layer(features).dtype == tf.bfloat16
    finally:
        keras.mixed_precision.set_global_policy("float32")
    (layer.rate_offsets if rates == "learned" else layer.offset.bias).assign([0.01, 0.02])
    np.testing.assert_allclose(layer.rates_of(tf.cast(features, tf.bfloat16)), [[2.16, 3.32]], rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    (
        ({"rates": "fixed"}, "rates must be one of learned, dynamic, not 'fixed'"),
        ({"bounds": (0, 5)}, r"bounds must be the least and the largest rate, of 1 to 1023, not \(0, 5\)"),
        ({"bounds": (5, 2)}, r"not \(5, 2\)"),
        ({"bounds": (1, 17)}, r"atrous_rates must lie in the bounds \(1.0, 17.0\), not \(6, 12, 18\)"),
        ({"hidden": 0}, "hidden must be an integer of at least 1, not 0"),
    ),
)
def test_a_wrong_argument_is_an_error(arguments, words):
    with pytest.raises(ValueError, match=words):
        ExperimentalKernelSharingAtrousConv(4, **arguments)
