"""CCNet's head."""

import numpy as np
import pytest

from deeplab_ksac.heads.ccnet import attend_criss_cross
from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv, conv_norm_relu, images
from tests.literal.attention import criss_cross_attention


@pytest.mark.usefixtures("float64")
def test_criss_cross_attention_is_applied_twice_with_the_same_weights():
    pyramid = random_pyramid()
    head = built_head("ccnet", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        context = conv_norm_relu(head, "reduction", image["c5"])
        for _ in range(2):
            query, key, value = (conv(head, name, context) for name in ("query", "key", "value"))
            context = context + criss_cross_attention(query, key, value)
        context = conv_norm_relu(head, "refinement", context)
        np.testing.assert_allclose(features, np.concatenate([image["c5"], context], axis=-1), atol=1e-12)


def test_a_pixel_counts_itself_once():
    ones = np.ones([1, 3, 4, 2])
    value = np.zeros([1, 3, 4, 1])
    value[0, 1, 2] = 1
    attended = attend_criss_cross(ones, ones, value)[0, ..., 0].numpy()
    expected = np.zeros([3, 4])
    expected[1], expected[:, 2] = 1 / 6, 1 / 6
    np.testing.assert_allclose(attended, expected, atol=1e-12)
