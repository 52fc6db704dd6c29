"""DANet's head."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.heads.danet import DANetHead, attend_channels
from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv, conv_norm_relu, images
from tests.literal.attention import channel_attention, self_attention


@pytest.mark.usefixtures("float64")
def test_both_branches_and_their_logits_are_those_of_the_paper():
    pyramid = random_pyramid()
    head = built_head("danet", pyramid)
    outputs = head(pyramid)
    position, channel = outputs["features"]
    for index, image in enumerate(images(pyramid)):
        reduced = conv_norm_relu(head, "position_reduction", image["c5"])
        query, key, value = (conv(head, name, reduced) for name in ("query", "key", "value"))
        factor = head.factors["position"].factor.numpy()
        expected = conv_norm_relu(head, "position_refinement", reduced + factor * self_attention(query, key, value))
        np.testing.assert_allclose(position[index], expected, atol=1e-12)
        logits = conv(head, "position_classifier", expected)
        np.testing.assert_allclose(outputs["position_logits"][index], logits, atol=1e-12)

        reduced = conv_norm_relu(head, "channel_reduction", image["c5"])
        factor = head.factors["channel"].factor.numpy()
        expected = conv_norm_relu(head, "channel_refinement", reduced + factor * channel_attention(reduced))
        np.testing.assert_allclose(channel[index], expected, atol=1e-12)
        logits = conv(head, "channel_classifier", expected)
        np.testing.assert_allclose(outputs["channel_logits"][index], logits, atol=1e-12)


def test_attention_begins_switched_off():
    head = DANetHead(3, 4, key_filters=2)
    head({"c5": tf.ones([1, 2, 2, 5])})
    assert [head.factors[name].factor.numpy() for name in ("position", "channel")] == [0.0, 0.0]


def test_the_model_can_ask_how_many_branches_there_are():
    assert len(built_head("danet")(random_pyramid())["features"]) == DANetHead.branches == 2


def test_channel_attention_of_many_pixels_stays_in_float16s_range():
    features = tf.cast(2 * tf.random.stateless_normal([1, 129, 257, 3], seed=[0, 1]), tf.float16)
    # their squares add up to 130,000, and float16 ends at 65,504
    found, expected = attend_channels(features), attend_channels(tf.cast(features, tf.float64))
    np.testing.assert_allclose(tf.cast(found, tf.float64), expected, rtol=2**-9, atol=2**-9)
