"""ASPP against its convolutions, and the heads that hold the pyramids."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.ksac import KSAC
from tests.literal.ksac import atrous_convolution


def random(shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def test_each_branch_has_a_kernel_and_a_rate_of_its_own():
    layer, features = ASPP(4, (2, 3), project=False), random((1, 7, 8, 3))
    context = layer(features)
    for number, rate in enumerate((2, 3)):
        kernel = layer.branches[2 + number].conv.kernel.numpy()
        expected = np.maximum(atrous_convolution(features.numpy(), kernel, rate) / np.sqrt(1 + 1e-3), 0)
        np.testing.assert_allclose(context[..., 8 + 4 * number : 12 + 4 * number], expected, atol=1e-5)


def test_the_image_level_branch_is_the_same_at_every_pixel():
    features = random((2, 5, 4, 3))
    image_level = ASPP(4, (1,), project=False)(features)[..., :4]
    np.testing.assert_array_equal(image_level, tf.broadcast_to(image_level[:, :1, :1], image_level.shape))


def test_without_rates_the_image_level_and_the_pointwise_branch_are_left():
    layer, both, features = ASPP(4, (), project=False), ASPP(4, (2,), project=False), random((1, 5, 6, 3))
    layer(features), both(features)
    for own, other in zip(layer.branches, both.branches):
        own.set_weights(other.get_weights())
    np.testing.assert_array_equal(layer(features), both(features)[..., :8])
    assert layer.rate_features(features) == {}
    assert ASPP.from_config(layer.get_config()).atrous_rates == ()


def test_ksac_saves_the_kernels_of_all_rates_but_one():
    features = random((1, 5, 5, 16))
    ksac, aspp = KSAC(8, (1, 2, 3), merge="concat"), ASPP(8, (1, 2, 3))
    ksac(features), aspp(features)
    assert aspp.count_params() - ksac.count_params() == 2 * 9 * 16 * 8


@pytest.mark.parametrize("separable", (False, True))
def test_a_model_with_aspp_is_saved_and_loaded_whole(separable, tmp_path):
    image = keras.Input([None, None, 3])
    model = keras.Model(image, ASPP(4, (1, 2), separable=separable)(image))
    model.save(tmp_path / "model.keras")
    features = random((1, 6, 5, 3))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(features), loaded(features))
