"""Scales, flips and windows against the model called by hand."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import Views
from deeplab_ksac.layers import resize_bilinear
from deeplab_ksac.prediction import scores, sliding
from tests.deeplab_ksac.fake_model import build_fake_model, build_pointwise_model, random_images

ROUNDING = 1e-5  # float32 of logits of order 1, a few additions deep


@pytest.fixture(scope="module")
def model():
    return build_fake_model()


def literal_windows(forward, image, window):
    """Sliding windows with Python loops: sums and counts pixel by pixel."""
    height, width = image.shape[1:3]
    stride, total, count = int(2 / 3 * window), 0.0, np.zeros([height, width, 1])
    for top in sorted({min(y, max(height - window, 0)) for y in range(0, height, stride)}):
        for left in sorted({min(x, max(width - window, 0)) for x in range(0, width, stride)}):
            logits = forward(image[:, top : top + window, left : left + window])
            if np.isscalar(total):
                total = np.zeros([*image.shape[:3], logits.shape[-1]])
            total[:, top : top + window, left : left + window] += logits
            count[top : top + window, left : left + window] += 1
    return total / count


def test_sides_of_a_scaled_input_stay_odd_where_they_were():
    factors = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    assert [scores.side_at_scale(513, scale) for scale in factors] == [257, 385, 513, 641, 769, 897]
    assert scores.side_at_scale(500, 0.5) == 250
    assert scores.side_at_scale(1, 0.5) == 1


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.7, 1.1, 1.75])
def test_a_dynamic_side_scales_like_a_static_one(scale):
    for size in range(1, 60):
        assert int(scores.side_at_scale(tf.constant(size), scale)) == scores.side_at_scale(size, scale)


def test_windows_step_by_two_thirds_and_end_flush_with_the_border():
    assert sliding.window_starts(1025, 769).numpy().tolist() == [0, 256]
    assert sliding.window_starts(2049, 769).numpy().tolist() == [0, 512, 1024, 1280]
    assert sliding.window_starts(10, 10).numpy().tolist() == [0]
    assert sliding.window_starts(7, 10).numpy().tolist() == [0]
    assert sliding.window_starts(3, 1).numpy().tolist() == [0, 1, 2]


def test_one_scale_without_flip_is_the_model(model):
    image = random_images(2, 13, 18)
    np.testing.assert_array_equal(scores.predict_logits(model, image), model(image)["logits"])


def test_scales_and_flips_average_the_logits_of_resized_and_mirrored_inputs(model):
    image = random_images(1, 17, 22)
    views = []
    for scale, size in ((0.5, [9, 11]), (1.0, [17, 22]), (1.5, [25, 33])):
        scaled = resize_bilinear(image, size)
        views.append(resize_bilinear(model(scaled)["logits"], [17, 22]))
        mirrored = model(scaled[:, :, ::-1])["logits"][:, :, ::-1]
        views.append(resize_bilinear(mirrored, [17, 22]))
        assert [scores.side_at_scale(side, scale) for side in (17, 22)] == size
    logits = scores.predict_logits(model, image, Views((0.5, 1.0, 1.5), flip=True))
    np.testing.assert_allclose(logits, np.mean(views, axis=0), atol=ROUNDING)
    probabilities = scores.predict_probabilities(
        model, image, Views((0.5, 1.0, 1.5), flip=True, average="probabilities")
    )
    np.testing.assert_allclose(probabilities, np.mean(tf.nn.softmax(views), axis=0), atol=ROUNDING)


def test_probabilities_of_averaged_logits_are_their_softmax(model):
    image, views = random_images(2, 9, 12), Views((0.75, 1.0), flip=True)
    probabilities = scores.predict_probabilities(model, image, views)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(scores.predict_logits(model, image, views)))
    np.testing.assert_allclose(np.sum(probabilities, axis=-1), 1.0, atol=ROUNDING)


def test_with_flip_the_mirrored_image_has_the_mirrored_prediction(model):
    image = random_images(1, 11, 14)
    logits = scores.predict_logits(model, image, Views(flip=True))
    mirrored = scores.predict_logits(model, image[:, :, ::-1], Views(flip=True))
    np.testing.assert_allclose(mirrored[:, :, ::-1], logits, atol=ROUNDING)


@pytest.mark.parametrize(("height", "width"), [(23, 31), (8, 31), (23, 5), (9, 9)])
def test_windows_are_averaged_by_coverage(model, height, width):
    image = random_images(2, height, width)
    expected = literal_windows(lambda crop: model(crop)["logits"].numpy(), image, 9)
    np.testing.assert_allclose(scores.predict_logits(model, image, Views(window=9)), expected, atol=ROUNDING)


@pytest.mark.parametrize("window", [12, 40, (12, 17)])
def test_a_window_that_covers_the_image_changes_nothing(model, window):
    image = random_images(2, 12, 12)
    np.testing.assert_array_equal(
        scores.predict_logits(model, image, Views(window=window)), scores.predict_logits(model, image)
    )


def test_windows_change_nothing_for_a_model_without_context():
    model, image = build_pointwise_model(), random_images(1, 20, 33)
    views = Views((0.5, 1.0, 1.5), flip=True)
    slid = scores.predict_logits(model, image, dataclasses.replace(views, window=(7, 10)))
    np.testing.assert_allclose(slid, scores.predict_logits(model, image, views), atol=ROUNDING)


def test_one_trace_serves_every_size(model):
    views = Views((0.5, 1.0), flip=True, window=9)
    compiled = tf.function(
        lambda image: scores.predict_logits(model, image, views),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    for shape in ((1, 9, 16), (2, 21, 12)):
        image = random_images(*shape)
        np.testing.assert_allclose(compiled(image), scores.predict_logits(model, image, views), atol=ROUNDING)
    assert compiled.experimental_get_tracing_count() == 1


def test_padding_is_gray_at_the_bottom_and_the_right_and_is_cut_off_again(model):
    image = random_images(2, 9, 14)
    padded = np.full((2, 17, 17, 3), 127.5, np.float32)
    padded[:, :9, :14] = image
    views = Views((0.5, 1.0), flip=True)
    expected = scores.predict_logits(model, padded, views)[:, :9, :14]
    found = scores.predict_logits(model, image, dataclasses.replace(views, pad_to=17))
    np.testing.assert_allclose(found, expected, atol=ROUNDING)
    np.testing.assert_array_equal(
        scores.predict_logits(model, image, Views(pad_to=(9, 5))), scores.predict_logits(model, image)
    )


def test_views_wait_for_one_another_so_that_memory_is_that_of_one(model):
    views = Views((0.5, 1.0), flip=True)
    forward = scores.logits_function(model)
    graph = tf.function(lambda image: scores.predict_logits(forward, image, views), [scores.IMAGE_SPEC])
    calls = [op for op in graph.get_concrete_function().graph.get_operations() if "PartitionedCall" in op.type]
    assert len(calls) == 4

    def depends(operation, other, seen):
        parents = [tensor.op for tensor in operation.inputs] + operation.control_inputs
        fresh = [parent for parent in parents if parent not in seen]
        seen.update(fresh)
        return other in fresh or any(depends(parent, other, seen) for parent in fresh)

    for before, after in itertools.pairwise(calls):
        assert depends(after, before, set())


def test_classes_by_averaged_probabilities_are_their_argmax(model):
    image, views = random_images(1, 12, 12), Views((0.5, 1.5), average="probabilities")
    probabilities = scores.predict_probabilities(model, image, views)
    np.testing.assert_array_equal(scores.predict_classes(model, image, views), np.argmax(probabilities, axis=-1))
