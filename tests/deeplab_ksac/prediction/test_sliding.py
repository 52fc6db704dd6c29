"""Windows with scales, flips and padding against NumPy, and the memory they take."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import Views
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.fake_model import build_fake_model, random_images

WINDOW = (9, 12)
ROUNDING = 1e-5  # float32 of logits of order 1, a few additions deep
PEAK = """
import ctypes
import tensorflow as tf
from deeplab_ksac.experiment import Views
from deeplab_ksac.prediction import scores
from deeplab_ksac.scripts.cases.process_memory import resident_memory

SIDE, CLASSES = 640, 40
views = Views((1.75,), flip=True, window=257)
predict = tf.function(
    lambda image: scores.predict_classes(lambda crop: tf.repeat(crop[..., :1], CLASSES, axis=3), image, views),
    [scores.IMAGE_SPEC],
)
predict(tf.zeros([1, 60, 60, 3]))
image = tf.ones([1, SIDE, SIDE, 3])
ctypes.CDLL(None).malloc_trim(0)
before = resident_memory("VmRSS")
predict(image)
print((resident_memory("VmHWM") - before) / (4 * CLASSES * SIDE**2))
"""


def interpolation(size, target):
    """The matrix [target, size] of linear interpolation with corners aligned, in double precision."""
    at = np.arange(target) * ((size - 1) / (target - 1))
    return np.maximum(0, 1 - np.abs(at[:, np.newaxis] - np.arange(size)))


def resized(maps, target):
    rows, columns = (interpolation(size, side) for size, side in zip(maps.shape[1:3], target, strict=True))
    return np.einsum("yh,xw,nhwk->nyxk", rows, columns, maps)


def starts(size, window):
    return sorted({min(start, max(size - window, 0)) for start in range(0, size, 2 * window // 3)})


def windowed(model, image):
    """Sums and counts, window by window."""
    total, count = 0.0, np.zeros([*image.shape[1:3], 1])
    for top, left in itertools.product(*map(starts, image.shape[1:3], WINDOW)):
        place = slice(None), slice(top, top + WINDOW[0]), slice(left, left + WINDOW[1])
        logits = model(tf.constant(image[place], tf.float32))["logits"].numpy()
        total = np.zeros([*image.shape[:3], logits.shape[-1]]) if np.isscalar(total) else total
        total[place] += logits
        count[place[1:]] += 1
    return total / count


def twin(model, image, scales, pad_to, average):
    """Views with windows and flip as NumPy has them."""
    height, width = image.shape[1:3]
    size = max(height, pad_to), max(width, pad_to)
    margins = [(0, 0), (0, size[0] - height), (0, size[1] - width), (0, 0)]
    image, views = np.pad(image, margins, constant_values=127.5), []
    for scale in scales:
        scaled = resized(image, [scores.side_at_scale(side, scale) for side in size])
        views.append(resized(windowed(model, scaled), size))
        views.append(resized(windowed(model, scaled[:, :, ::-1])[:, :, ::-1], size))
    views = np.array(views)
    if average == "probabilities":
        views = np.exp(views) / np.exp(views).sum(axis=-1, keepdims=True)
    return views.mean(axis=0)[:, :height, :width]


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("count", [1, 2])
def test_windows_with_scales_flip_and_padding_are_those_of_numpy(count, average):
    model, image = build_fake_model(), random_images(count, 17, 26)
    views = Views((0.5, 1.0, 1.75), flip=True, window=WINDOW, pad_to=21, average=average)
    expected = twin(model, image, views.scales, 21, average)
    compiled = tf.function(lambda image: scores.predict_scores(model, image, views))
    dynamic = tf.function(lambda image: scores.predict_scores(model, image, views), [scores.IMAGE_SPEC])
    for found in (scores.predict_scores(model, image, views), compiled(tf.constant(image)), dynamic(image)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING)


def test_windows_on_a_very_long_picture_are_those_of_numpy():
    """The products of its side and of the scaled one are beyond 32 bits."""
    image = np.linspace(0, 1, 50_000, dtype="float32").reshape(1, 1, -1, 1)
    found = scores.predict_scores(lambda crop: crop, image, Views((1.5,), window=(1, 20_001)))
    np.testing.assert_allclose(found, image, rtol=0, atol=1e-4)  # linear, and so it stays


def test_windows_hold_a_few_maps_of_the_image_and_none_of_a_larger_scale():
    """The sum of all views is one; a map at the scale of 1.75 alone would be three."""
    ran = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True, timeout=120)
    assert 1 < float(ran.stdout) < 3
