"""Windows of pixels, their relative positions, and tables of position bias for another window."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.backbones import attention_windows as windows
from tests.deeplab_ksac.backbones.seeded import seeded_tensor
from tests.deeplab_ksac.backbones.strided_models import FOLDER
from tests.literal import swin as literal


def numbered(height, width):
    """Every pixel holds its own row and column."""
    return np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)[np.newaxis].astype("float32")


@pytest.mark.parametrize("size, window, shift", [((8, 4), 4, 2), ((5, 11), 3, 1), ((7, 2), 4, 2), ((3, 3), 7, 3)])
def test_pixels_share_a_window_as_the_paper_has_it(size, window, shift):
    margins = tuple(windows.window_margins(length, window, shift) for length in size)
    cut = windows.partition(numbered(*size) + 1, margins, window)[0].numpy()
    for pixels in cut:
        places = [tuple(pixel.astype(int) - 1) for pixel in pixels if pixel.all()]  # zeros lie in the margins
        assert len({literal.window_of(place, size, window, shift) for place in places}) == 1
    assert (cut.reshape(-1, 2).all(axis=1)).sum() == size[0] * size[1]


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_windows_off_the_grid_see_what_a_masked_cyclic_shift_sees(shift):
    size, window = (6, 9), 3
    places = list(np.ndindex(size))
    inside = np.array([literal.window_of(place, size, window, shift) for place in places])
    np.testing.assert_array_equal(
        (inside[:, np.newaxis] == inside).all(-1), literal.cyclic_shift_mask(size, window, shift)
    )


@pytest.mark.parametrize("known", [True, False])
def test_united_windows_are_the_map(known):
    x = numbered(5, 7)

    def there_and_back(x):
        size = (5, 7) if known else tuple(tf.unstack(tf.shape(x)[1:3]))
        margins = tuple(windows.window_margins(length, 4, 2) for length in size)
        return windows.unite(windows.partition(x, margins, 4), margins, size, 4)

    shape = [1, 5, 7, 2] if known else [None, None, None, 2]
    np.testing.assert_array_equal(tf.function(there_and_back, input_signature=[tf.TensorSpec(shape)])(x), x)


def test_relative_positions_are_rows_of_offsets():
    index = windows.relative_positions(3)
    for i, one in enumerate(np.ndindex(3, 3)):
        for j, other in enumerate(np.ndindex(3, 3)):
            assert index[i, j] == (one[0] - other[0] + 2) * 5 + one[1] - other[1] + 2


@pytest.mark.parametrize("given, wanted", [(4, 7), (7, 3)])
def test_a_resized_table_is_timms(given, wanted):
    table = seeded_tensor("table", ((2 * given - 1) ** 2, 2))
    with np.load(FOLDER / "position_bias.npz") as arrays:
        expected = arrays[f"{given}_to_{wanted}"]
    resized = windows.resize_position_bias(table, wanted)
    assert resized.dtype == np.float32
    # timm computes in float32, at places up to 7 that it finds to 1e-6
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_a_table_of_the_same_window_or_of_none_stays_as_it_is():
    for rows in (49, 50):
        table = seeded_tensor("table", (rows, 2))
        assert windows.resize_position_bias(table, 4) is table
