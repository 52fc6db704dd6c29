"""Numbers of masks -> labels by one look-up."""

import numpy as np
import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.label_table import LabelTable

TABLE = LabelTable({0: 255, 3: 0, 200: 1, 459: 2, 65535: 3}, "the masks of a test")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.int64, np.float64])
def test_values_are_looked_up_whatever_their_type(dtype):
    values = np.array([[0, 3, 200], [200, 3, 0]], dtype)
    labels = TABLE(values, "x.png")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, [[255, 0, 1], [1, 0, 255]])


def test_the_largest_values_of_sixteen_bits_have_a_place():
    np.testing.assert_array_equal(TABLE(np.array([[459, 65535]], np.uint16), "x.png"), [[2, 3]])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[3, 4, 4, 254]], np.uint8), r"mask x.png has values that the masks of a test do not have: "
         r"4 \(2 pixels\), 254 \(1 pixels\)"),
        (np.array([[-1, 3]], np.int16), r"-1 \(1 pixels\)"),
        (np.array([[65536, 3]], np.int64), r"65536 \(1 pixels\)"),
        (np.array([[3.0, 2.5]]), r"2.5 \(1 pixels\)"),
        (np.array([[3.0, np.nan]]), r"nan \(1 pixels\)"),
        (np.arange(20, 40)[np.newaxis].astype(np.uint8), "24 .1 pixels. and 15 more"),
    ],
)  # fmt: skip
def test_other_values_are_refused_with_their_counts(values, words):
    with pytest.raises(DatasetError, match=words):
        TABLE(values, "x.png")


@pytest.mark.parametrize(
    ("labels", "words"),
    [({-1: 0}, "not in -1…-1"), ({70000: 0}, "70000"), ({0: 254}, "are not 254"), ({0: 256}, "256")],
)
def test_a_wrong_table_is_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        LabelTable(labels, "x")
