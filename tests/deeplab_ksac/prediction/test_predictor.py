"""A predictor against the inference that it wraps, on images of every size."""

import dataclasses

import numpy as np
import pytest

from deeplab_ksac.bands import Bands
from deeplab_ksac.experiment import AVERAGES, Views
from deeplab_ksac.prediction import predictor, scores
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs.checkpoints import load_model
from tests.deeplab_ksac.fake_model import build_fake_model, build_pointwise_model, fake_info, random_images
from tests.deeplab_ksac.runs.trained_run import NAMES, trained_run

ROUNDING = 1e-5  # float32 of logits of order 1, a few additions deep


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


def test_a_predictor_takes_single_images_batches_and_bytes(model):
    predict = Predictor(model, Views((0.75, 1.0), flip=True))
    batch = random_images(2, 10, 15)
    classes, probabilities = predict(batch), predict.probabilities(batch)
    assert classes.dtype == np.uint8 and classes.shape == (2, 10, 15)
    np.testing.assert_array_equal(classes, probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(predict(batch[0].astype("uint8")), classes[0])
    assert predict.probabilities(batch[0]).shape == (10, 15, 5)


@pytest.mark.parametrize("average", AVERAGES)
def test_all_outputs_come_from_one_pass(model, average):
    views, image = Views((0.5, 1.0), average=average), random_images(1, 12, 9)[0]
    values = Predictor(model, views).predict(image, predictor.OUTPUTS)
    expected = scores.predict_probabilities(model, image[np.newaxis], views)[0]
    np.testing.assert_allclose(values["probabilities"], expected, atol=ROUNDING)
    np.testing.assert_array_equal(values["confidence"], values["probabilities"].max(axis=-1))
    np.testing.assert_array_equal(values["classes"], scores.predict_classes(model, image[np.newaxis], views)[0])


def test_tiles_change_nothing_for_a_model_without_context():
    pointwise, image = build_pointwise_model(), random_images(1, 41, 53)[0]
    whole, tiled = Predictor(pointwise), Predictor(pointwise, max_pixels=100)
    for name, values in tiled.predict(image, predictor.OUTPUTS).items():
        expected = whole.predict(image, (name,))[name]
        assert values.dtype == expected.dtype
        np.testing.assert_allclose(values, expected, atol=ROUNDING)


def test_tiles_with_a_margin_beyond_the_context_change_nothing():
    # The fake model of stride 1 sees 2 pixels far; a tile of 17 has a margin of 4.
    model, image = build_fake_model(strides=1), random_images(1, 50, 39)[0]
    np.testing.assert_allclose(
        Predictor(model, max_pixels=17 * 17).probabilities(image), Predictor(model).probabilities(image), atol=ROUNDING
    )


def test_the_model_never_sees_more_pixels_than_allowed(model, monkeypatch):
    seen, predict = [], Predictor(model, max_pixels=200)
    original = predict._predict

    def spy(image, outputs):
        seen.append(image.shape)
        return original(image, outputs)

    monkeypatch.setattr(predict, "_predict", spy)
    assert predict(random_images(3, 10, 10)).shape == (3, 10, 10)  # image by image
    assert predict(random_images(2, 30, 40)).shape == (2, 30, 40)  # tile by tile
    assert max(count * height * width for count, height, width, _ in seen) <= 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_pixels": 0}, "max_pixels must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused_at_construction(model, options, message):
    with pytest.raises(ValueError, match=message):
        Predictor(model, **options)


def test_more_classes_than_a_byte_counts_are_refused_and_256_are_told_apart():
    many = build_pointwise_model(256)
    many.get_layer("classifier").set_weights([np.zeros([1, 1, 3, 256]), np.arange(256.0)])
    assert Predictor(many)(random_images(1, 2, 3)[0]).tolist() == [[255] * 3] * 2
    with pytest.raises(ValueError, match="the model has 257 classes; a predictor's classes are bytes, 256 at most"):
        Predictor(build_pointwise_model(257))


def test_an_unknown_output_is_refused(model):
    with pytest.raises(ValueError, match="outputs are of classes, confidence, probabilities"):
        Predictor(model).predict(random_images(1, 5, 5), ("colors",))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros([5, 6]), r"not of shape \[5, 6\]; np.stack\(\[gray\] \* 3, axis=-1\) makes RGB"),
        (np.zeros([5, 6, 4]), r"an image is RGB, \[H, W, 3\] or \[N, H, W, 3\], not of shape \[5, 6, 4\]"),
        (np.zeros([1, 1, 5, 6, 3]), "not of shape"),
        (random_images(1, 5, 6)[0] / 255, "RGB of 0 … 255, but no value of this one is above 1; multiply by 255"),
        (random_images(1, 5, 6)[0] / 127.5 - 1, "multiply by 255"),
        (random_images(1, 5, 6)[0] * 257, r"the values of this one lie in \d.* … \d.*; np.clip cuts them off"),
        (np.full([5, 6, 3], -1), r"lie in -1 … -1"),
        (np.full([5, 6, 3], np.nan), "lie in nan … nan"),
        (np.zeros([5, 6, 3], bool), "RGB numbers of 0 … 255, not bool"),
        (np.zeros([0, 6, 3]), r"not float64 of shape \[0, 6, 3\]"),
    ],
)
def test_what_is_no_rgb_of_0_to_255_is_refused_with_the_way_out(model, image, message):
    with pytest.raises(ValueError, match=message):
        Predictor(model)(image)
    with pytest.raises(ValueError, match=message):
        next(Predictor(model).tiled(image))


@pytest.mark.parametrize("depth", (8, 16))
def test_bands_that_were_divided_to_0_to_1_are_refused_with_the_way_out(depth):
    info = dataclasses.replace(fake_info(), bands=Bands(4, depth))
    predict = Predictor(build_fake_model(channels=4), info=info)
    dark, ones = np.full([5, 6, 4], 1.5), np.ones([5, 6, 4])
    for image in (dark, ones, 0 * ones):
        assert predict(image).shape == (5, 6)
    with pytest.raises(ValueError, match=r"0 … 255, but no value of this one is above 0\.5; give integers as they are"):
        predict(dark / 3)


def test_nearly_black_images_are_images(model):
    black = np.zeros([5, 6, 3])
    dark = black.copy()
    dark[2, 3] = 1.0
    predict = Predictor(model)
    for image in (black, dark):
        np.testing.assert_array_equal(predict(image), predict(image.astype("uint8")))


def test_the_fractions_of_an_image_are_those_of_its_batch(model):
    batch = random_images(2, 10, 10)
    batch[1] /= 256
    predict = Predictor(model, max_pixels=100)  # image by image
    np.testing.assert_array_equal(predict(batch)[0], predict(batch[0]))


def test_three_lines_of_python_predict_an_image(tmp_path):
    with trained_run(tmp_path) as place:
        model = load_model(place / "workdir").model
        predictor = Predictor.load(place / "workdir")
        image = random_images(1, 30, 41)
        np.testing.assert_array_equal(predictor(image[0]), scores.predict_classes(model, image)[0])
        assert predictor.info.class_names == NAMES
        assert predictor.views == Views()
        flipped = Predictor.load(place / "workdir", views=Views(flip=True), checkpoint=7)
        np.testing.assert_array_equal(flipped(image), scores.predict_classes(model, image, Views(flip=True)))
