"""Sequential dual attention."""

import numpy as np
import pytest
import tensorflow as tf

from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv, conv_norm_relu, images
from tests.literal.attention import self_attention


@pytest.mark.usefixtures("float64")
def test_spatial_attention_works_on_what_the_channel_attention_gives():
    pyramid = random_pyramid()
    head = built_head("sequential", pyramid)
    outputs = head(pyramid)
    squeeze, excite = head.channel_attention.squeeze, head.channel_attention.excite
    for index, image in enumerate(images(pyramid)):
        reduced = conv_norm_relu(head, "reduction", image["c5"])
        hidden = np.maximum(reduced.mean(axis=(0, 1)) @ squeeze.kernel.numpy() + squeeze.bias.numpy(), 0)
        gate = 1 / (1 + np.exp(-(hidden @ excite.kernel.numpy() + excite.bias.numpy())))
        channel = reduced * gate
        query, key, value = (conv(head, name, channel) for name in ("query", "key", "value"))
        expected = channel + self_attention(query, key, value)
        np.testing.assert_allclose(outputs["features"][index], expected, atol=1e-12)
        logits = conv(head, "channel_classifier", channel)
        np.testing.assert_allclose(outputs["channel_logits"][index], logits, atol=1e-12)


def test_a_loss_on_the_extra_branch_reaches_nothing_but_its_classifier():
    pyramid = random_pyramid()
    head = built_head("sequential", pyramid)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(pyramid)["channel_logits"] ** 2)
    gradients = tape.gradient(loss, head.trainable_variables)
    reached = {
        variable.name
        for variable, gradient in zip(head.trainable_variables, gradients, strict=True)
        if gradient is not None
    }
    assert reached == {variable.name for variable in head.channel_classifier.trainable_variables}
