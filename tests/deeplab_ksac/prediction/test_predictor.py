"""A predictor against the inference that it wraps, on images of every size."""

import numpy as np
import pytest

from deeplab_ksac.prediction import predictor
from deeplab_ksac.prediction import views as inference
from deeplab_ksac.prediction.predictor import Predictor
from tests.deeplab_ksac.fake_model import build_fake_model, build_pointwise_model, random_images

ROUNDING = 1e-5  # float32 of logits of order 1, a few additions deep


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


def test_a_predictor_takes_single_images_batches_and_bytes(model):
    predict = Predictor(model, scales=(0.75, 1.0), flip=True)
    batch = random_images(2, 10, 15)
    classes, probabilities = predict(batch), predict.probabilities(batch)
    assert classes.dtype == np.uint8 and classes.shape == (2, 10, 15)
    np.testing.assert_array_equal(classes, probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(predict(batch[0].astype("uint8")), classes[0])
    assert predict.probabilities(batch[0]).shape == (10, 15, 5)


@pytest.mark.parametrize("average", inference.AVERAGES)
def test_all_outputs_come_from_one_pass(model, average):
    views, image = {"scales": (0.5, 1.0), "average": average}, random_images(1, 12, 9)[0]
    values = Predictor(model, **views).predict(image, predictor.OUTPUTS)
    expected = inference.predict_probabilities(model, image[np.newaxis], **views)[0]
    np.testing.assert_allclose(values["probabilities"], expected, atol=ROUNDING)
    np.testing.assert_array_equal(values["confidence"], values["probabilities"].max(axis=-1))
    np.testing.assert_array_equal(values["classes"], inference.predict_classes(model, image[np.newaxis], **views)[0])


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
        ({"scales": ()}, "scales must be one or more positive numbers"),
        ({"window": 0}, "window must be a positive integer"),
        ({"average": "votes"}, "average must be one of"),
        ({"max_pixels": 0}, "max_pixels must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused_at_construction(model, options, message):
    with pytest.raises(ValueError, match=message):
        Predictor(model, **options)


def test_an_unknown_output_is_refused(model):
    with pytest.raises(ValueError, match="outputs are of classes, confidence, probabilities"):
        Predictor(model).predict(random_images(1, 5, 5), ("colors",))
