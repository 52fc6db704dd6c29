"""Blockwise self-attention: equal to the plain form, and never the whole map."""

import numpy as np
import pytest
import tensorflow as tf

from caa import ChannelizedSelfAttention, attend_pixels
from tests.literal.attention import self_attention

HEIGHT, WIDTH = 129, 257


def random_tensors(seed=0, dtype="float64"):
    """query [2, 7, 3], key [2, 11, 3], value [2, 11, 4]."""
    rng = np.random.default_rng(seed)
    return [tf.constant(rng.normal(size=shape), dtype) for shape in ([2, 7, 3], [2, 11, 3], [2, 11, 4])]


def result_and_gradients(function, tensors):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        result = function(*tensors)
        total = tf.reduce_sum(result**3)
    return [result, *tape.gradient(total, tensors)]


def test_attention_to_all_pixels_is_equation_3_1():
    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=[2, 3, 4]), rng.normal(size=[2, 3, 4]), rng.normal(size=[2, 3, 5])
    flat = [tf.reshape(x, [1, 6, -1]) for x in (query, key, value)]
    expected = self_attention(query, key, value)
    np.testing.assert_allclose(attend_pixels(*flat)[0], expected.reshape([6, 5]), atol=1e-12)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("map_bytes", [1, 88, 3 * 88, 6 * 88, 7 * 88])
def test_blocks_give_the_plain_form_and_its_gradients(map_bytes, known):
    tensors = random_tensors()
    expected = result_and_gradients(attend_pixels, tensors)

    def blockwise(query, key, value):
        return attend_pixels(query, key, value, map_bytes=map_bytes)

    if not known:
        spec = [tf.TensorSpec([None, None, x.shape[-1]], x.dtype) for x in tensors]
        blockwise = tf.function(blockwise, input_signature=spec)
    for one, other in zip(expected, result_and_gradients(blockwise, tensors), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_blocks_can_be_compiled():
    tensors = random_tensors(dtype="float32")

    @tf.function(jit_compile=True)
    def compiled(*tensors):
        return result_and_gradients(lambda q, k, v: attend_pixels(q, k, v, map_bytes=100), list(tensors))

    for one, other in zip(result_and_gradients(attend_pixels, tensors), compiled(*tensors), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_full_cityscapes_map_is_never_held_as_a_whole():
    layer = ChannelizedSelfAttention(4, 2, gate_width=2, gate_depth=1)
    traced = tf.function(layer).get_concrete_function(tf.TensorSpec([1, HEIGHT, WIDTH, 3]))
    pixels = HEIGHT * WIDTH
    assert pixels**2 * 4 > 2**32
    shapes = [shape for shape in traced_shapes(traced) if shape is not None]
    assert max(np.prod(shape) for shape in shapes) * 4 <= 2**28
    assert any(shape[-1] == pixels and np.prod(shape) > 2**25 for shape in shapes if shape)


def traced_shapes(function):
    """The static shapes of all tensors in a traced function and in the functions it calls; None where unknown."""
    frozen = function.graph.as_graph_def(add_shapes=True)
    nodes = [*frozen.node, *(node for body in frozen.library.function for node in body.node_def)]
    for node in nodes:
        for shape in node.attr["_output_shapes"].list.shape:
            sizes = [d.size for d in shape.dim]
            yield None if shape.unknown_rank or -1 in sizes else sizes
