"""The fast gradient of wide depthwise kernels, against TensorFlow's own in twice the precision."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.convnext import ConvNeXtBlock
from deeplab_ksac.heads.cpnet import Aggregation
from deeplab_ksac.layers import AtrousDepthwiseConv2D, SeparableConvNormAct
from deeplab_ksac.tensor_ops import depthwise, placement
from deeplab_ksac.tensor_ops.depthwise import depthwise_conv2d

PICTURES, CHANNELS = 3, 8
# (height, width), (a, b) of the kernel, rate
CASES = [
    ((9, 9), (5, 5), 1),
    ((9, 12), (5, 5), 2),
    ((6, 11), (7, 7), 3),  # the kernel is larger than the map
    ((10, 13), (3, 4), 1),  # of even width
    ((10, 13), (4, 4), 2),
    ((8, 15), (1, 11), 1),
]


@pytest.fixture(autouse=True)
def where_onednn_computes(monkeypatch):
    """What it would compute faster is the same on any CPU."""
    monkeypatch.setattr(depthwise, "by_onednn", lambda: True)


def operands(size, sides, dtype=tf.float32, multiplier=1):
    rng = np.random.default_rng(1)
    features, kernel = [PICTURES, *size, CHANNELS], [*sides, CHANNELS, multiplier]
    return [tf.constant(rng.normal(size=shape).astype(np.float32), dtype) for shape in (features, kernel)]


def outcome(convolution, features, kernel):
    """Output and both gradients, for an upstream gradient that is the same in every precision, and that gradient."""
    with tf.GradientTape() as tape:
        tape.watch([features, kernel])
        output = convolution(features, kernel)
    upstream = tf.constant(np.random.default_rng(2).normal(size=output.shape).astype(np.float32), output.dtype)
    return output, *tape.gradient(output, [features, kernel], upstream)


def trained(x, kernel, rate=1, padding="SAME", training=True):
    return depthwise_conv2d(x, kernel, (1, 1), padding, (rate, rate), training)


def exact(features, kernel, rate, padding):
    """Of TensorFlow in float64, and the same with all products positive: (outcomes, sums of the products' sizes)."""
    features, kernel = tf.cast(features, tf.float64), tf.cast(kernel, tf.float64)

    def convolve(x, k):
        return tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], padding, dilations=(rate, rate))

    found = outcome(convolve, features, kernel)
    with tf.GradientTape() as tape:
        operands = [tf.abs(features), tf.abs(kernel)]
        tape.watch(operands)
        output = convolve(*operands)
    upstream = tf.abs(tf.constant(np.random.default_rng(2).normal(size=output.shape)))
    return found, (output, *tape.gradient(output, operands, upstream))


@pytest.mark.parametrize("wrap", (lambda f: f, tf.function), ids=("eager", "function"))
@pytest.mark.parametrize("padding", ("SAME", "VALID"))
@pytest.mark.parametrize(("size", "sides", "rate"), CASES)
def test_output_and_gradients_are_tensorflows(size, sides, rate, padding, wrap):
    if padding == "VALID" and any(n <= rate * (side - 1) for n, side in zip(size, sides, strict=True)):
        pytest.skip("nothing is left of the map")
    features, kernel = operands(size, sides)
    ours = wrap(lambda x, k: outcome(lambda x, k: trained(x, k, rate, padding), x, k))(features, kernel)
    taps, pixels = np.prod(sides), PICTURES * np.prod(size)
    for found, true, sizes, terms in zip(ours, *exact(features, kernel, rate, padding), (taps, taps, pixels)):
        # in any order, a sum of n products in float32 is off by at most n · 2^-24 of the sum of their sizes
        np.testing.assert_array_less(np.abs(found.numpy() - true.numpy()), 1e-30 + terms * 2**-24 * sizes)


@pytest.mark.skipif(not placement.by_onednn(), reason="TensorFlow's own kernels add in bfloat16")
def test_in_bfloat16_sums_are_rounded_at_their_ends():
    features, kernel = operands((9, 12), (5, 5), tf.bfloat16)
    found = tf.function(lambda x, k: outcome(trained, x, k)[2])(features, kernel)
    (_, _, true), (_, _, sizes) = exact(features, kernel, 1, "SAME")
    assert found.dtype == tf.bfloat16
    # the sum of each picture's pixels, and that of all of them; and the float32 sums between
    bound = 2 * 2**-9 + PICTURES * 9 * 12 * 2**-24
    np.testing.assert_array_less(np.abs(tf.cast(found, tf.float64).numpy() - true.numpy()), 1e-30 + bound * sizes)


def test_the_gradient_compiles():
    features, kernel = operands((9, 10), (5, 5))
    compiled = tf.function(lambda x, k: outcome(trained, x, k), jit_compile=True)(features, kernel)
    for found, true, sizes in zip(compiled, *exact(features, kernel, 1, "SAME"), strict=True):
        np.testing.assert_array_less(np.abs(found.numpy() - true.numpy()), 1e-30 + PICTURES * 9 * 10 * 2**-24 * sizes)


def convolutions_of(step, *operands):
    """How many depthwise convolutions a step's graph has, and whether it uses TensorFlow's gradient of a kernel."""
    graph = tf.function(step).get_concrete_function(*operands).graph
    made = [operation for operation in graph.get_operations() if operation.type.startswith("DepthwiseConv2dNative")]
    used = [x for x in made if x.type.endswith("BackpropFilter") and any(y.consumers() for y in x.outputs)]
    return sum(x.type == "DepthwiseConv2dNative" for x in made), bool(used)


FAST, PLAIN = (1 + PICTURES, False), (1, True)


@pytest.mark.parametrize("training", (False, None, tf.constant(True)))
def test_only_training_makes_the_gradient_fast(training):
    features, kernel = operands((9, 9), (5, 5))
    assert convolutions_of(lambda x, k: outcome(trained, x, k)[1:], features, kernel) == FAST
    plain = convolutions_of(
        lambda x, k: outcome(lambda x, k: trained(x, k, training=training), x, k)[1:], features, kernel
    )
    assert plain == PLAIN


@pytest.mark.parametrize(
    ("sides", "strides", "rates", "given"),
    (
        ((5, 3), (1, 1), (1, 1), {}),  # of which oneDNN's own is as fast
        ((5, 5), (2, 2), (1, 1), {}),
        ((5, 5), (1, 1), (2, 1), {}),
        ((5, 5), (1, 1), (1, 1), {"multiplier": 2}),
        ((5, 5), (1, 1), (1, 1), {"dtype": tf.float64}),
        ((5, 5), (1, 1), (1, 1), {"dtype": tf.float16}),
    ),
)
def test_what_it_is_not_made_for_is_left_to_tensorflow(sides, strides, rates, given):
    features, kernel = operands((9, 9), sides, **given)

    def ours(x, kernel):
        return depthwise_conv2d(x, kernel, strides, "SAME", rates, True)

    def theirs(x, kernel):
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], "SAME", dilations=rates)

    found, expected = (tf.function(lambda x, k, f=f: outcome(f, x, k))(features, kernel) for f in (ours, theirs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_number_of_pictures_that_is_unknown_is_left_to_tensorflow():
    features, kernel = operands((9, 9), (5, 5))

    def step(x, k, training=True):
        with tf.GradientTape() as tape:
            tape.watch(k)
            output = tf.reduce_sum(tf.square(trained(x, k, training=training)))
        return tape.gradient(output, k)

    unknown = [tf.TensorSpec([None, *features.shape[1:]]), tf.TensorSpec(kernel.shape)]
    assert convolutions_of(step, *unknown) == PLAIN
    theirs = tf.function(lambda x, k: step(x, k, training=False))(features, kernel)
    np.testing.assert_array_equal(tf.function(step, input_signature=unknown)(features, kernel), theirs)


@pytest.mark.parametrize("onednn", (True, False))
@pytest.mark.parametrize(
    ("make", "wide"),
    (
        (lambda: AtrousDepthwiseConv2D(5, padding="same"), 1),
        (lambda: AtrousDepthwiseConv2D(5, padding="same", dilation_rate=2), 1),
        (lambda: ConvNeXtBlock(), 1),
        (lambda: SeparableConvNormAct(4, 5), 1),
        (lambda: SeparableConvNormAct(4, 3), 0),
        (lambda: Aggregation(4, 11), 2),  # and two of one pixel's width
    ),
)
def test_layers_have_it_in_training_alone_and_where_onednn_computes(make, wide, onednn, monkeypatch):
    monkeypatch.setattr(depthwise, "by_onednn", lambda: onednn)
    features, _ = operands((9, 9), (1, 1))
    layer = make()
    layer(features)

    def step(x, training):
        with tf.GradientTape() as tape:
            outputs = layer(x, training=training)
        return tape.gradient(outputs, layer.trainable_variables)

    trained, plain = (convolutions_of(lambda x, t=t: step(x, t), features)[0] for t in (True, False))
    assert trained == plain + wide * PICTURES * onednn


def test_the_layer_is_keras_layer():
    features, _ = operands((9, 11), (1, 1))
    for arguments in ({"padding": "same"}, {"strides": 2}, {"dilation_rate": 2, "depth_multiplier": 2}):
        ours = AtrousDepthwiseConv2D(5, **arguments, activation="relu", bias_initializer="ones")
        theirs = keras.layers.DepthwiseConv2D(5, **arguments, activation="relu", bias_initializer="ones")
        theirs.build(features.shape)
        ours.build(features.shape)
        ours.set_weights(theirs.get_weights())
        np.testing.assert_array_equal(ours(features, training=True), theirs(features))


def penalty(convolution, features, kernel):
    """Gradients of the squared gradients, both operands'."""
    with tf.GradientTape() as outer:
        outer.watch([features, kernel])
        with tf.GradientTape() as tape:
            tape.watch([features, kernel])
            judged = tf.reduce_sum(convolution(features, kernel) ** 3)
        squares = tf.add_n([tf.reduce_sum(x**2) for x in tape.gradient(judged, [features, kernel])])
    return outer.gradient(squares, [features, kernel])


@pytest.mark.parametrize("wrap", (lambda f: f, tf.function), ids=("eager", "function"))
@pytest.mark.parametrize("rate", (1, 2))
def test_second_derivatives_are_tensorflows(rate, wrap):
    features, kernel = operands((9, 12), (5, 5))
    found = wrap(lambda x, k: penalty(lambda x, k: trained(x, k, rate), x, k))(features, kernel)

    def theirs(x, k):
        return tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME", dilations=(rate, rate))

    for ours, true in zip(found, penalty(theirs, *(tf.cast(x, tf.float64) for x in (features, kernel))), strict=True):
        # a dropped term is of the size of the whole; five sums of some hundred terms each, in float32
        np.testing.assert_allclose(ours, true, rtol=0, atol=5 * 100 * 2**-24 * np.abs(true).max())


def test_a_gradient_can_be_asked_for_twice():
    features, kernel = operands((9, 9), (5, 5))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([features, kernel])
        output = trained(features, kernel)
    first, second = (tape.gradient(output, [features, kernel]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
