"""MobileNetV2: the same network as Keras', with DeepLab's endpoints."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import mobilenet_v2
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from tests.datasets.samples import sample
from tests.deeplab_ksac.backbones.photographs import FOLDER, photographs
from tests.deeplab_ksac.backbones.random_weights import randomize


def test_at_output_stride_32_it_is_keras_network_and_takes_its_weights(tmp_path):
    original = keras.applications.MobileNetV2([64, 96, 3], alpha=0.35, include_top=False, weights=None)
    randomize(original)
    path = str(tmp_path / "mobilenet_v2.h5")
    original.save_weights(path)
    model = mobilenet_v2(32, alpha=0.35, **weight_arguments("mobilenet_v2", path))
    load_weights(model, "mobilenet_v2", path, {"alpha": 0.35})
    image = np.random.default_rng(0).uniform(0, 255, [1, 64, 96, 3]).astype("float32")
    expected = keras.Model(original.input, original.get_layer("block_16_project_BN").output)(image / 127.5 - 1)
    # float32 rounds at 1.2e-7; no output is a sum of more than 2^10 terms
    np.testing.assert_allclose(model(image)["c5"], expected, rtol=0, atol=1.2e-7 * 2**10 * np.abs(expected).max())


def test_the_published_weights_of_keras_give_keras_features():
    path = str(sample("weights/mobilenet_v2_imagenet_keras_0.35_224_no_top.h5"))
    model = mobilenet_v2(32, alpha=0.35, **weight_arguments("mobilenet_v2", path))
    load_weights(model, "mobilenet_v2", path, {"alpha": 0.35})
    original = keras.applications.MobileNetV2([224, 224, 3], alpha=0.35, include_top=False, weights=path)
    images = photographs(sample(FOLDER))[:2]
    expected = keras.Model(original.input, original.get_layer("block_16_project_BN").output)(images / 127.5 - 1)
    np.testing.assert_allclose(model(images)["c5"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_endpoints_are_the_expanded_activations_and_the_last_bottleneck():
    shapes = {stage: output.shape[-1] for stage, output in mobilenet_v2(16).output.items()}
    assert shapes == {"c2": 144, "c3": 192, "c4": 576, "c5": 320}


def test_dilations_follow_the_strides_taken_away():
    model = mobilenet_v2(8, alpha=0.35)
    rates = [model.get_layer(f"block_{block}_depthwise").dilation_rate[0] for block in range(1, 17)]
    assert rates == [1] * 6 + [2] * 7 + [4] * 3
    # the kernels whose strides were taken away see the grid they came from
    assert model.get_layer("block_6_depthwise").strides == model.get_layer("block_13_depthwise").strides == (1, 1)


def test_the_epsilon_stays_kerass():
    norms = [x for x in mobilenet_v2(alpha=0.35).layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {(layer.epsilon, layer.momentum, layer.synchronized) for layer in norms} == {(1e-3, 0.9997, True)}


def test_narrow_endpoints_are_the_bottlenecks_outputs():
    shapes = {stage: output.shape[-1] for stage, output in mobilenet_v2(16, endpoints="narrow").output.items()}
    assert shapes == {"c2": 24, "c3": 32, "c4": 96, "c5": 320}


def test_centered_kernels_lie_on_every_other_pixel_from_the_first_on():
    model = mobilenet_v2(32, alpha=0.35, padding="centered")
    kernel = np.zeros([3, 3, 3, 16], "float32")
    kernel[1, 1, 0, 0] = 1  # passes the middle tap's red on
    model.get_layer("Conv1").set_weights([kernel])
    first = keras.Model(model.input, model.get_layer("Conv1").output)
    for size in (33, 34):
        image = np.random.default_rng(0).uniform(0, 255, [1, size, size, 3]).astype("float32")
        np.testing.assert_allclose(first(image)[..., 0], image[:, ::2, ::2, 0] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"endpoints": "wide"}, "endpoints must be 'expanded' or 'narrow', not 'wide'"),
        ({"padding": "valid"}, "padding must be one of same, centered, not 'valid'"),
        ({"preprocessing": "gray"}, "preprocessing must be one of tf, torch, caffe, none, not 'gray'"),
    ],
)
def test_wrong_arguments_are_refused_in_words(arguments, message):
    with pytest.raises(ValueError, match=message):
        mobilenet_v2(16, alpha=0.35, **arguments)
