"""The self-attention head."""

import numpy as np
import pytest

from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv, conv_norm_relu, images
from tests.literal.attention import self_attention


@pytest.mark.usefixtures("float64")
def test_self_attention_is_added_to_the_reduced_c5():
    pyramid = random_pyramid()
    head = built_head("self_attention", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        reduced = conv_norm_relu(head, "reduction", image["c5"])
        query, key, value = (conv(head, name, reduced) for name in ("query", "key", "value"))
        np.testing.assert_allclose(features, reduced + self_attention(query, key, value), atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_a_bound_of_memory_changes_nothing():
    pyramid = random_pyramid()
    plain, bounded = built_head("self_attention", pyramid), built_head("self_attention", pyramid, map_bytes=1000)
    np.testing.assert_allclose(bounded(pyramid)["features"], plain(pyramid)["features"], atol=1e-12)
