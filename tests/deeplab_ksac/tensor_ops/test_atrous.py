"""The native atrous convolution and its gradient, against space-to-batch around a plain one."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.layers import AtrousConv2D, atrous_conv2d

# (height, width), (a, b) of the kernel, rates
CASES = [
    ((9, 9), (3, 3), (2, 2)),
    ((6, 11), (3, 3), (5, 3)),
    ((6, 11), (3, 3), (20, 20)),
    ((10, 12), (2, 4), (2, 1)),
    ((7, 8), (1, 3), (1, 2)),
    ((5, 5), (5, 5), (4, 4)),
]


def outcome(convolution, features, kernel, **arguments):
    """Output and both gradients of a convolution, for one and the same upstream gradient."""
    with tf.GradientTape() as tape:
        tape.watch([features, kernel])
        output = convolution(features, kernel, **arguments)
        toward = np.random.default_rng(2).normal(size=output.shape)
        judged = tf.reduce_sum(output * tf.constant(toward, output.dtype))
    return output, *tape.gradient(judged, [features, kernel])


def operands(size, sides, dtype=tf.float64):
    rng = np.random.default_rng(1)
    return tf.constant(rng.normal(size=[2, *size, 3]), dtype), tf.constant(rng.normal(size=[*sides, 3, 4]), dtype)


@pytest.mark.parametrize("padding", ("SAME", "VALID"))
@pytest.mark.parametrize(("size", "sides", "rates"), CASES)
def test_output_and_gradients_are_those_of_space_to_batch(size, sides, rates, padding):
    if padding == "VALID" and any(n <= rate * (side - 1) for n, rate, side in zip(size, rates, sides, strict=True)):
        pytest.skip("nothing is left of the map")
    features, kernel = operands(size, sides)
    native = outcome(atrous_conv2d, features, kernel, atrous_rate=rates, padding=padding)
    plain = outcome(tf.nn.convolution, features, kernel, dilations=rates, padding=padding)
    for ours, theirs in zip(native, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_a_size_that_is_unknown_makes_no_difference():
    features, kernel = operands((6, 11), (3, 3))
    signature = [tf.TensorSpec([None, None, None, 3], tf.float64), tf.TensorSpec([3, 3, 3, 4], tf.float64)]
    traced = tf.function(outcome_of_known_upstream, input_signature=signature)
    for dynamic, static in zip(traced(features, kernel), outcome_of_known_upstream(features, kernel), strict=True):
        np.testing.assert_allclose(dynamic, static, rtol=0, atol=1e-12)


def outcome_of_known_upstream(features, kernel):
    with tf.GradientTape() as tape:
        tape.watch([features, kernel])
        judged = tf.reduce_sum(tf.square(atrous_conv2d(features, kernel, 5)))
    return tape.gradient(judged, [features, kernel])


def test_the_gradient_compiles():
    features, kernel = operands((9, 10), (3, 3), tf.float32)
    compiled = tf.function(outcome_of_known_upstream, jit_compile=True)(features, kernel)
    for ours, theirs in zip(compiled, outcome_of_known_upstream(features, kernel), strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("dtype", (tf.float16, tf.bfloat16, tf.float32))
def test_every_float_type_has_both_gradients(dtype):
    features, kernel = operands((8, 9), (3, 3), dtype)
    gradients = outcome_of_known_upstream(features, kernel)
    assert [x.dtype for x in gradients] == [dtype, dtype]
    exact = outcome_of_known_upstream(tf.cast(features, tf.float64), tf.cast(kernel, tf.float64))
    for ours, theirs in zip(gradients, exact, strict=True):
        # three roundings (features, output, products) of sums of some hundred terms, relative to the largest sum
        bound = 2**3 * {tf.float16: 2**-11, tf.bfloat16: 2**-8, tf.float32: 2**-24 * 2**4}[dtype]
        np.testing.assert_allclose(tf.cast(ours, tf.float64), theirs, rtol=0, atol=bound * np.abs(theirs).max())


def test_a_layer_asks_for_the_device_where_its_model_runs():
    features, _ = operands((9, 10), (3, 3), tf.float32)
    for index in (0, 1):
        with tf.device(f"CPU:{index}"):
            layer = AtrousConv2D(4, 3, padding="same", dilation_rate=2)
            with tf.GradientTape() as tape:
                output = layer(features)
            gradient = tape.gradient(output, layer.kernel)
        assert tf.DeviceSpec.from_string(output.device).device_index == index
        assert tf.DeviceSpec.from_string(gradient.device).device_index == index


def test_a_graph_of_tensorflow_1_has_the_gradient_too():
    with tf.Graph().as_default():
        features, kernel = operands((9, 10), (3, 3))
        output = atrous_conv2d(features, kernel, 2)
        gradients = tf.gradients(output, [features, kernel])
        with tf.compat.v1.Session() as session:
            found = session.run(gradients)
    features, kernel = operands((9, 10), (3, 3))
    with tf.GradientTape() as tape:
        tape.watch([features, kernel])
        output = atrous_conv2d(features, kernel, 2)
    expected = tape.gradient(output, [features, kernel])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def penalty(convolution, features, kernel, **arguments):
    """Gradients of the squared gradients, both operands'."""
    with tf.GradientTape() as outer:
        outer.watch([features, kernel])
        with tf.GradientTape() as tape:
            tape.watch([features, kernel])
            judged = tf.reduce_sum(convolution(features, kernel, **arguments) ** 3)
        squares = tf.add_n([tf.reduce_sum(x**2) for x in tape.gradient(judged, [features, kernel])])
    return outer.gradient(squares, [features, kernel])


@pytest.mark.parametrize(("size", "sides", "rates"), CASES)
def test_second_derivatives_are_those_of_space_to_batch(size, sides, rates):
    features, kernel = operands(size, sides)
    native = tf.function(lambda x, k: penalty(atrous_conv2d, x, k, atrous_rate=rates))(features, kernel)
    plain = penalty(tf.nn.convolution, features, kernel, padding="SAME", dilations=rates)
    for ours, theirs in zip(native, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())
