"""Colors, overlays and sheets, pixel by pixel where that can be said."""

import io

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.figures import colors as visualization

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
