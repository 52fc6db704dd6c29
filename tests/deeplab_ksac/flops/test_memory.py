"""The peak of a graph's memory, by hand."""

import pytest
import tensorflow as tf

from deeplab_ksac.flops.count import trace
from deeplab_ksac.flops.memory import peak_memory

KILO = tf.TensorSpec([256])  # 1,024 bytes


def relus(x):
    return tf.nn.relu(tf.nn.relu(tf.nn.relu(x)))


def sigmoid_gradient(x):
    return tf.gradients(tf.reduce_sum(tf.sigmoid(tf.sigmoid(x))), x)[0]


def branches(x):
    first, second = tf.cumsum(x), tf.cumsum(-x)
    return tf.reduce_sum(first * second)


def called(x):
    return tf.function(lambda y: tf.cumsum(tf.cumsum(y)) + 1.0, autograph=False)(x)


BY_HAND = {  # function of 1,024 bytes -> bytes at the peak, the input not among them
    "a chain of elementwise operations writes over its first result": (relus, 1024),
    "a product of two": (branches, 3 * 1024),  # −x, its sum and the first; then the product goes over one of them
    "another shape is the same memory": (lambda x: tf.reshape(tf.expand_dims(tf.cumsum(x), 0), [16, 16]), 1024),
    "a result and its input": (lambda x: tf.cumsum(tf.cumsum(x)), 2 * 1024),
    "what nobody reads": (lambda x: tf.nn.top_k(x, 256).values, 2 * 1024),  # its indices
    "a function that is called": (called, 2 * 1024),
    "the larger of two branches": (lambda x: tf.cond(x[0] > 0, lambda: tf.cumsum(tf.cumsum(x)), lambda: x), 2 * 1024),
    "half as much in half precision": (lambda x: tf.cumsum(tf.cast(x, tf.float16)), 2 * 512),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_the_peak_is_that_of_counting_by_hand(case):
    function, expected = BY_HAND[case]
    peak = peak_memory(trace(function, KILO))
    small = 64  # sums and sizes of a few bytes
    assert expected <= peak.total <= expected + small


def test_the_backward_pass_keeps_what_it_reads():
    """y = σ(σ(x)): both σ are kept until their gradients are taken."""
    peak = peak_memory(trace(sigmoid_gradient, KILO))
    assert peak.by_operation["Sigmoid"] == 2 * 1024


def test_a_tensor_of_unknown_size_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"x has the size \(None,\)"):
        peak_memory(trace(tf.cumsum, tf.TensorSpec([None])))
