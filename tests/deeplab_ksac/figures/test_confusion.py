"""The picture of a confusion matrix."""

import numpy as np
import pytest

from deeplab_ksac.figures.confusion import CELL_INCHES, MOST_NUMBERED, confusion_picture, row_shares


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


LONG = "television receiver, television, television set, tv, tv set, idiot box, boob tube, telly, goggle box"


def edges(picture):
    """The outermost pixels of a picture, which are white where nothing is cut off."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


@pytest.mark.parametrize("num_classes", [1, 2, 30])
def test_long_names_and_titles_leave_room_for_the_cells_and_are_not_cut_off(num_classes):
    title = "voc2012/val, step 30000, scales 0.5, 0.75, 1.0, 1.25, 1.5, 1.75 with flip, window 513x513, bfloat16"
    names = [LONG, *(f"class {k}" for k in range(1, num_classes))]
    picture = confusion_picture(np.eye(num_classes), names, title=title)
    assert (edges(picture) == 255).all()
    darkest = np.abs(picture.astype(int) - (8, 48, 107)).max(axis=-1) <= 1
    cell = int(100 * CELL_INCHES["numbered" if num_classes <= MOST_NUMBERED else "plain"])
    assert darkest.sum() > num_classes * (cell * 2 // 3) ** 2


def test_a_dollar_in_a_name_is_a_dollar():
    names = ["US$ \\frac{ $", "$x_$"]
    picture = confusion_picture(np.eye(2), names, title="$\\frac{$")
    assert (edges(picture) == 255).all()
    assert picture.shape[1] > confusion_picture(np.eye(2), ["a", "b"]).shape[1] - 50
