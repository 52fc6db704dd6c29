"""The heads of chapter 3 against their figures."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.heads.axial import ChannelizedAxialHead, ChannelizedSelfAttentionHead
from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv_norm_relu, images
from tests.literal import caa as literal
from tests.random_layers import weights_of


def transformed(head, c5):
    """θ, φ (where there is one) and g of an image, and the features they are made of."""
    reduced = conv_norm_relu(head, "reduction", c5)
    names = [name for name in ("theta", "phi", "value") if hasattr(head.attention, name)]
    return [conv_norm_relu(head, name, reduced) for name in names]


@pytest.mark.usefixtures("float64")
def test_the_axial_head_is_axial_attention_of_a_reduced_c5():
    pyramid = random_pyramid()
    head = built_head("axial", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        np.testing.assert_allclose(features, literal.axial_attention(*transformed(head, image["c5"])), atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_caa_head_is_channelized_axial_attention_of_a_reduced_c5():
    pyramid = random_pyramid()
    head = built_head("caa", pyramid)
    gates = [weights_of(head, name) for name in ("column_gate", "row_gate")]
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        expected = literal.channelized_axial_attention(*transformed(head, image["c5"]), *gates, 0.2)
        np.testing.assert_allclose(features, expected, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_channelized_self_attention_head_has_a_gate_for_each_pixel():
    pyramid = random_pyramid()
    head = built_head("channelized_self_attention", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        expected = literal.channelized_self_attention(*transformed(head, image["c5"]), weights_of(head, "gate"), 0.2)
        np.testing.assert_allclose(features, expected, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_squeeze_and_excitation_follows_axial_attention_with_one_gate_for_all_pixels():
    pyramid = random_pyramid()
    head = built_head("axial_squeeze_excite", pyramid)
    squeeze, squeeze_bias, excite, excite_bias = weights_of(head, "squeeze_excite")
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        attended = literal.axial_attention(*transformed(head, image["c5"]))
        hidden = np.maximum(attended.mean(axis=(0, 1)) @ squeeze + squeeze_bias, 0)
        gate = 1 / (1 + np.exp(-(hidden @ excite + excite_bias)))
        np.testing.assert_allclose(features, attended * gate, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_image_level_branch_stands_beside_the_context():
    pyramid = random_pyramid()
    head = built_head("caa_image_level", pyramid)
    features = head(pyramid)["features"].numpy()
    context = head.attention(head.reduction(pyramid["c5"]))
    for index, image in enumerate(images(pyramid)):
        mean = image["c5"].mean(axis=(0, 1), keepdims=True)
        branch = conv_norm_relu(head, "image_pooling", mean)
        expected = np.broadcast_to(branch, [*image["c5"].shape[:2], 4])
        # The mean is taken in float32.
        np.testing.assert_allclose(features[index, ..., 4:], expected, atol=1e-5)
        transition = conv_norm_relu(head, "transition", context[index].numpy())
        np.testing.assert_allclose(features[index, ..., :4], transition, atol=1e-12)


@pytest.mark.parametrize("head_class", [ChannelizedAxialHead, ChannelizedSelfAttentionHead])
def test_defaults_are_those_of_table_3_1(head_class):
    head = head_class()
    head({"c5": tf.zeros([1, 2, 2, 8])})
    gates = [part for part in head.submodules if type(part).__name__ == "ChannelAttention"]
    shapes = [[512, 128], *[[128, 128]] * 4, [128, 512]]
    assert [[w.shape.as_list() for w in gate.weights] for gate in gates] == [shapes] * len(gates)
    assert head.attention.key_filters == 64
    assert head.attention.groups is None
