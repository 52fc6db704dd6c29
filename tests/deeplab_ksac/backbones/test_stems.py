"""Backbones for images of other bands than RGB: their normalization, and RGB's weights in them."""

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.contract import PREPROCESSINGS, normalization
from deeplab_ksac.backbones.pretrained import TIMM, load_weights
from deeplab_ksac.backbones.stems import adapted_stem
from deeplab_ksac.bands import Bands, MeasuredBands
from tests.deeplab_ksac.backbones import strided_models
from tests.deeplab_ksac.backbones.random_weights import randomize
from tests.deeplab_ksac.backbones.test_backbones import TINY, tiny

DENSE = sorted(set(TINY) - {"resnet101"})
STRIDED = {row: family for family, row in strided_models.ROWS.items()}
EVERY_FAMILY = pytest.mark.parametrize("name", (*DENSE, *STRIDED))
OURS_TO_TIMMS = {
    "same": lambda value: value,
    "conv": lambda value: value.transpose(3, 2, 0, 1),
    "depthwise": lambda value: value.transpose(2, 3, 0, 1),
    "dense": lambda value: value.transpose(1, 0),
}


def bands_of(number):
    return MeasuredBands(number, 8, tuple(range(90, 90 + number)), tuple(range(40, 40 + number)))


def of_rgb(name):
    return strided_models.tiny(STRIDED[name]) if name in STRIDED else tiny(name)


def of_bands(name, number):
    keras.mixed_precision.set_global_policy("float32")
    if name in STRIDED:
        return BACKBONES[name](**strided_models.ARGUMENTS[STRIDED[name]], bands=bands_of(number))
    return BACKBONES[name](8, **TINY[name], bands=bands_of(number))


def image_of(model, normalized):
    """The image that a model's normalization makes this one."""
    layer = model.get_layer("normalize")
    return ((normalized - np.array(layer.offset)) / np.array(layer.scale)).astype("float32")


def write_timm(path, name, model):
    """The weights of a model as timm's file."""
    tensors = {
        place: np.ascontiguousarray(OURS_TO_TIMMS.get(layout, OURS_TO_TIMMS["same"])(variable.numpy()))
        for place, variable, layout in TIMM[name].tensors(model)
    }
    safetensors.numpy.save_file(tensors, path)
    return str(path)


@EVERY_FAMILY
def test_gray_images_give_with_rgbs_weights_what_they_give_as_rgb(name, tmp_path):
    path = write_timm(tmp_path / "a.safetensors", name, of_rgb(name))
    model = of_bands(name, 1)
    assert model.input_shape == (None, None, None, 1)
    load_weights(model, name, path, {})
    gray = np.random.default_rng(0).normal(size=[1, 33, 49, 1])
    expected = of_rgb(name)(image_of(of_rgb(name), np.repeat(gray, 3, axis=-1)))
    # float32 rounds at 1.2e-7; the sums of the first layer are taken in another order, some 30 layers follow
    assert strided_models.largest_error(model(image_of(model, gray)), expected) < 1e-4


def test_more_bands_take_rgbs_kernels_in_turn(tmp_path):
    name = "resnet50"
    path, model = write_timm(tmp_path / "a.safetensors", name, of_rgb(name)), of_bands(name, 4)
    load_weights(model, name, path, {})
    first, ours = (next(w for w in m.weights if "kernel" in w.name).numpy() for m in (of_rgb(name), model))
    for band in range(4):
        np.testing.assert_allclose(ours[:, :, band], first[:, :, band % 3] * 0.75, rtol=1e-6)


def test_keras_files_are_adapted_too(tmp_path):
    original = keras.applications.MobileNetV2([32, 32, 3], alpha=0.35, include_top=False, weights=None)
    randomize(original)
    original.save_weights(tmp_path / "own.h5")
    model = of_bands("mobilenet_v2", 2)
    load_weights(model, "mobilenet_v2", str(tmp_path / "own.h5"), {"alpha": 0.35})
    kernel, found = (m.get_layer("Conv1").get_weights()[0] for m in (original, model))
    np.testing.assert_allclose(found, kernel[:, :, :2] * 1.5, rtol=1e-6)


def test_a_constant_image_gives_the_same_sums_whatever_the_number_of_bands():
    kernel = np.random.default_rng(0).normal(size=[3, 3, 3, 2])
    for number in (1, 3, 6, 9):
        np.testing.assert_allclose(adapted_stem(kernel, number).sum(axis=2), kernel.sum(axis=2), rtol=1e-4)
    np.testing.assert_array_equal(adapted_stem(kernel, 3), kernel.astype("float32"))


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_each_band_gets_the_mean_and_deviation_of_imagenets_pictures(preprocessing):
    """By the mean over R, G and B of what ImageNet's mean and deviation become."""
    bands, rng = bands_of(5), np.random.default_rng(0)
    mean, deviation = (255 * x for x in (strided_models.MEAN, strided_models.DEVIATION))
    scale, offset = PREPROCESSINGS[preprocessing]
    wanted_mean, wanted_deviation = np.mean(mean * scale + offset), np.mean(deviation * scale)
    image = rng.uniform(0, 255, [1, 4, 4, 5])
    expected = (image - bands.mean) / bands.deviation * wanted_deviation + wanted_mean
    found = normalization(preprocessing, bands)(image.astype("float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3 * wanted_deviation)
    if preprocessing == "torch":
        np.testing.assert_allclose((wanted_mean, wanted_deviation), (0, 1), atol=1e-12)


def test_bands_without_mean_and_deviation_are_refused():
    with pytest.raises(ValueError, match="a network of 2 bands of 8 bits wants their mean and deviation"):
        normalization("tf", Bands(2, 8))
