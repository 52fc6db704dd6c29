"""Colors, overlays and sheets, pixel by pixel where that can be said."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from deeplab_ksac import visualization
from tests.deeplab_ksac.fake_model import fake_info

COLORS = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
CLASSES = np.array([[0, 1], [2, 255]], np.uint8)


def test_classes_get_their_colors_and_everything_beyond_is_shown_as_ignored():
    colored = visualization.colorize(CLASSES, COLORS)
    assert colored.dtype == np.uint8
    assert colored.tolist() == [[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], list(visualization.IGNORE_COLOR)]]
    assert visualization.colorize([[3]], COLORS).tolist() == [[list(visualization.IGNORE_COLOR)]]


def test_an_overlay_blends_by_opacity_and_leaves_ignored_pixels_alone():
    image = np.full([2, 2, 3], 100, np.uint8)
    half = visualization.overlay(image, CLASSES, COLORS, 0.5)
    assert half.tolist() == [[[50, 50, 50], [114, 50, 50]], [[50, 114, 50], [100, 100, 100]]]
    np.testing.assert_array_equal(visualization.overlay(image, CLASSES, COLORS, 0.0), image)
    full = visualization.overlay(image, CLASSES, COLORS, 1.0)
    np.testing.assert_array_equal(full[CLASSES < 3], visualization.colorize(CLASSES, COLORS)[CLASSES < 3])


def test_an_opacity_beyond_one_is_refused():
    with pytest.raises(ValueError, match="opacity must be in 0 … 1, not 2"):
        visualization.overlay(np.zeros([2, 2, 3]), CLASSES, COLORS, 2)


def test_an_index_png_holds_the_classes_as_values_and_the_colors_as_palette():
    with Image.open(io.BytesIO(visualization.encode_png(visualization.index_image(CLASSES, COLORS)))) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), CLASSES)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), visualization.colorize(CLASSES, COLORS))


def test_a_legend_shows_every_color():
    picture = visualization.legend(["sky", "road", "a rather long name"], COLORS)
    seen = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert set(COLORS) <= seen


def test_a_sheet_shows_the_classes_of_images_of_any_size_without_global_state():
    info, rng = fake_info(), np.random.default_rng(0)
    shapes = [(40, 60), (90, 30)]
    images = [rng.uniform(0, 255, (*shape, 3)) for shape in shapes]
    labels = [np.repeat([[1, 255]], shape[0], axis=0).repeat(shape[1] // 2, axis=1) for shape in shapes]
    predictions = [np.full(shape, 2) for shape in shapes]
    sheet = visualization.prediction_sheet(images, labels, predictions, info)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    seen = {tuple(color) for color in sheet.reshape(-1, 3).tolist()}
    assert {info.colors[1], info.colors[2], visualization.IGNORE_COLOR} <= seen
    assert info.colors[3] not in seen
    assert not matplotlib._pylab_helpers.Gcf.figs


def test_a_sheet_without_images_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        visualization.prediction_sheet([], [], [], fake_info())
