"""The picture of a confusion matrix."""

import numpy as np
import pytest

from deeplab_ksac.figures.confusion import confusion_picture, row_shares


def test_rows_are_percent_of_the_true_pixels_and_nan_for_absent_classes():
    np.testing.assert_array_equal(row_shares([[3, 1], [0, 0]]), [[75, 25], [np.nan, np.nan]])


@pytest.mark.parametrize("num_classes", [2, 40])
def test_the_picture_has_the_dark_diagonal_of_a_perfect_model(num_classes):
    matrix, names = np.diag(np.arange(num_classes)), [f"class {k}" for k in range(num_classes)]
    picture = confusion_picture(matrix, names, title="a title")
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and min(picture.shape[:2]) > 200
    darkest = np.abs(picture.astype(int) - (8, 48, 107)).max(axis=-1) <= 1  # the dark end of matplotlib's Blues
    assert darkest.sum() > 100


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"3 class names do not fit a matrix of shape \(2, 2\)"):
        confusion_picture(np.eye(2), ["a", "b", "c"])
