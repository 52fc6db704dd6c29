"""The heads that pool pyramids: UperNet's and PSPNet's."""

import numpy as np
import pytest

from deeplab_ksac.heads.upernet import UperNetHead
from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv_norm_relu, images
from tests.literal import convolution as literal


def pooled(head, bins, c5):
    """Pyramid pooling, literally."""
    branches = [c5]
    for index, side in enumerate(bins):
        means = literal.adaptive_average_pool(c5, side)
        branch = conv_norm_relu(head, f"branch_{index}_bins_{side}", means)
        branches.append(literal.resize(branch, *c5.shape[:2]))
    return np.concatenate(branches, axis=-1)


@pytest.mark.usefixtures("float64")
def test_pspnet_is_pyramid_pooling_of_c5():
    pyramid = random_pyramid()
    head = built_head("pspnet", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        np.testing.assert_allclose(features, pooled(head, (1, 2, 6), image["c5"]), atol=1e-5)


@pytest.mark.usefixtures("float64")
def test_upernet_is_a_feature_pyramid_over_pyramid_pooling():
    pyramid = random_pyramid(33, 49, 32)
    head = built_head("upernet", pyramid)
    for image, features in zip(images(pyramid), head(pyramid)["features"], strict=True):
        size = image["c2"].shape[:2]
        level = conv_norm_relu(head, "context", pooled(head, (1, 2), image["c5"]))
        joined = [literal.resize(level, *size)]
        for name in ("c4", "c3", "c2"):
            lateral = conv_norm_relu(head, f"lateral_{name}", image[name])
            level = lateral + literal.resize(level, *lateral.shape[:2])
            joined.insert(0, literal.resize(conv_norm_relu(head, f"refinement_{name}", level), *size))
        np.testing.assert_allclose(features, np.concatenate(joined, axis=-1), atol=1e-5)


def test_the_convolution_after_the_pooling_can_be_pointwise():
    head = UperNetHead(4, (1, 2), context_kernel_size=1)
    head(random_pyramid())
    assert head.context.conv.kernel.shape.as_list()[:2] == [1, 1]
