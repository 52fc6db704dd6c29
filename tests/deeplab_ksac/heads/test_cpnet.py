"""CPNet's head."""

import numpy as np
import pytest

from deeplab_ksac.heads.cpnet import CPNetHead
from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv_norm_relu, images
from tests.literal import convolution as literal
from tests.literal.attention import prior_contexts
from tests.random_layers import weights_of


def aggregated(head, c5):
    """The aggregation module, literally."""
    reduced = conv_norm_relu(head.aggregation, "reduction", c5)
    kernels = [[layer.get_weights()[0] for layer in path] for path in (head.aggregation.first, head.aggregation.second)]
    paths = [literal.depthwise(literal.depthwise(reduced, inner), outer) for inner, outer in kernels]
    statistics = [weight.numpy() for weight in head.aggregation.norm.weights]
    return np.maximum(literal.normalize(paths[0] + paths[1], *statistics), 0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("prior_size", [(5, 7), (3, 4)])
def test_the_prior_gathers_the_own_class_and_the_others(prior_size):
    pyramid = random_pyramid(33, 49)
    head = built_head("cpnet", pyramid, prior_size=prior_size)
    outputs = head(pyramid)
    for index, image in enumerate(images(pyramid)):
        features = aggregated(head, image["c5"])
        logits = conv_norm_relu(head, "prior", features, relu=False)
        np.testing.assert_allclose(outputs["affinity"][index], logits.reshape([5, 7, *prior_size]), atol=1e-12)
        grid = literal.resize(features, *prior_size).reshape([-1, 4])
        prior = 1 / (1 + np.exp(-logits.reshape([35, -1])))
        contexts = [
            conv_norm_relu(head, name, context.reshape([5, 7, 4]))
            for name, context in zip(("own", "others"), prior_contexts(prior, grid), strict=True)
        ]
        expected = np.concatenate([image["c5"], *contexts], axis=-1)
        # Resizing computes in float32.
        np.testing.assert_allclose(outputs["features"][index], expected, atol=1e-5)


def test_the_separable_kernels_are_long_in_both_directions():
    head = CPNetHead(4, (2, 2))
    head(random_pyramid())
    sides = [
        layer.depthwise_kernel.shape.as_list()[:2] for layer in (*head.aggregation.first, *head.aggregation.second)
    ]
    assert sides == [[11, 1], [1, 11], [1, 11], [11, 1]]
    assert weights_of(head, "prior")[0].shape == (1, 1, 4, 4)
