"""Joint pyramid upsampling."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.heads.necks import JointPyramidUpsampling
from deeplab_ksac.layers import BatchNorm
from tests.literal import convolution as literal
from tests.random_layers import randomize, weights_of

SIZES = [((5, 7), (3, 4), (2, 2)), ((8, 4), (4, 2), (2, 1))]


def random_pyramid(sizes, dtype="float32"):
    rng = np.random.default_rng(0)
    shapes = {"c2": [2, 9, 9, 2]} | {f"c{k + 3}": [2, *size, k + 3] for k, size in enumerate(sizes)}
    return {level: tf.constant(rng.normal(size=shape), dtype) for level, shape in shapes.items()}


def built(pyramid):
    neck = JointPyramidUpsampling(3, (1, 2), norm=BatchNorm(momentum=0.9))
    neck(pyramid)
    return randomize(neck)


@pytest.mark.parametrize("sizes", SIZES)
def test_c5_is_rebuilt_at_c3s_size_from_three_levels(sizes):
    pyramid = random_pyramid(sizes)
    neck = built(pyramid)
    for index, result in enumerate(neck(pyramid)["c5"]):
        joint = np.concatenate(
            [
                literal.resize(
                    literal.conv_norm_relu(pyramid[level][index].numpy(), *weights_of(neck, f"lateral_{level}")),
                    *sizes[0],
                )
                for level in ("c3", "c4", "c5")
            ],
            axis=-1,
        )
        expected = []
        for k, rate in enumerate((1, 2)):
            separate = literal.depthwise(joint, *weights_of(neck, f"depthwise_{k}_rate_{rate}"), rate=rate)
            separate = literal.normalize(separate, *weights_of(neck, f"norm_{k}"))
            expected.append(literal.conv_norm_relu(separate, *weights_of(neck, f"pointwise_{k}")))
        np.testing.assert_allclose(result, np.concatenate(expected, axis=-1), atol=1e-5)


def test_the_other_levels_stay_as_they_are():
    pyramid = random_pyramid(SIZES[0])
    result = built(pyramid)(pyramid)
    for level in ("c2", "c3", "c4"):
        np.testing.assert_array_equal(result[level], pyramid[level])


def test_a_saved_neck_of_unknown_sizes_comes_back_the_same(tmp_path):
    inputs = {f"c{k}": keras.Input([None, None, k], name=f"c{k}") for k in (2, 3, 4, 5)}
    model = randomize(keras.Model(inputs, JointPyramidUpsampling(3, (1, 2))(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for sizes in SIZES:
        pyramid = random_pyramid(sizes)
        np.testing.assert_array_equal(loaded(pyramid)["c5"], model(pyramid)["c5"])


def test_wrong_rates_are_refused():
    with pytest.raises(ValueError, match=r"atrous_rates must be one or more numbers of at least 1, not \(1, 0\)"):
        JointPyramidUpsampling(3, (1, 0))
