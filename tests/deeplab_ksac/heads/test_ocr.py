"""OCR's head."""

import numpy as np
import pytest

from tests.deeplab_ksac.heads.heads_under_test import built_head, random_pyramid
from tests.deeplab_ksac.heads.literal_heads import conv, conv_norm_relu, images
from tests.literal import convolution as literal
from tests.literal.attention import region_attention, region_features


def transformed(head, names, x):
    for name in names:
        x = conv_norm_relu(head, name, x)
    return x[:, 0]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "output_stride"), [("ocr", 8), ("ocr", 32), ("ocr_hrnet", 32)])
def test_pixels_attend_to_the_regions_of_the_coarse_segmentation(name, output_stride):
    pyramid = random_pyramid(33, 49, output_stride)
    head = built_head(name, pyramid)
    outputs = head(pyramid)
    for index, image in enumerate(images(pyramid)):
        joined = {}
        for levels in (head.levels, head.coarse_levels):
            size = image[levels[0]].shape[:2]
            joined[levels] = np.concatenate([literal.resize(image[level], *size) for level in levels], axis=-1)
        coarse = conv(head, "coarse_classifier", conv_norm_relu(head, "coarse", joined[head.coarse_levels]))
        np.testing.assert_allclose(outputs["coarse_logits"][index], coarse, atol=1e-5)
        features = conv_norm_relu(head, "reduction", joined[head.levels])
        pixels = features.reshape([-1, 4])
        logits = literal.resize(coarse, *features.shape[:2]).reshape([-1, 3])
        regions = region_features(pixels, logits)[:, np.newaxis]
        context = region_attention(
            transformed(head, ("query_0", "query_1"), pixels[:, np.newaxis]),
            transformed(head, ("key_0", "key_1"), regions),
            transformed(head, ("value",), regions),
        )
        context = transformed(head, ("output",), context[:, np.newaxis]).reshape(features.shape)
        # Resizing computes in float32.
        np.testing.assert_allclose(outputs["features"][index], np.concatenate([context, features], -1), atol=1e-5)
