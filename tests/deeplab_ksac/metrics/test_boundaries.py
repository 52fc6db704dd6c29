"""The boundary F-score against Euclidean distance transforms, class by class."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from deeplab_ksac.metrics import boundaries

K = 4


def literal_outline(classes, valid, k):
    """Pixels of class k with a valid neighbor of another class, in loops."""
    height, width = classes.shape
    outline = np.zeros(classes.shape, bool)
    for i, j in zip(*np.nonzero((classes == k) & valid)):
        for y, x in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= y < height and 0 <= x < width and valid[y, x] and classes[y, x] != k:
                outline[i, j] = True
    return outline


def near(outline, others, radius):
    """How many pixels of an outline have one of the others within the radius."""
    if not others.any():
        return 0
    return int(np.sum(outline & (ndimage.distance_transform_edt(~others) <= radius)))


def literal_counts(labels, classes, radius):
    counts = np.zeros([4, K], np.int64)
    for truth, prediction in zip(labels, classes):
        valid = (truth >= 0) & (truth < K)
        for k in range(K):
            true, predicted = (literal_outline(values, valid, k) for values in (truth, prediction))
            matches = near(predicted, true, radius), near(true, predicted, radius)
            counts[:, k] += (predicted.sum(), matches[0], true.sum(), matches[1])
    return counts


def blobs(seed, shape, ignored=True):
    """Smooth random classes, the prediction a disturbed copy of the truth; class 3 is never true."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(3, *shape)), (0, 0, 3, 3))
    labels = fields.argmax(axis=0).astype("int32")
    classes = (fields + 0.05 * ndimage.gaussian_filter(rng.normal(size=fields.shape), (0, 0, 1, 1))).argmax(axis=0)
    classes[:, :3, :3] = 3
    if ignored:
        labels[:, 5:9, 2:20] = 255
        labels[0, 0] = K
    return labels, classes.astype("uint8")


@pytest.mark.parametrize("radius", [1, 2.5, 5])
def test_counts_are_those_of_distance_transforms(radius):
    labels, classes = blobs(0, (2, 33, 40))
    counts = boundaries.boundary_counts(labels, classes, K, radius)
    assert counts.dtype == tf.int64
    np.testing.assert_array_equal(counts, literal_counts(labels, classes, radius))
    assert 0 < counts[1].numpy().sum() < counts[0].numpy().sum()  # the case is not trivial


def test_a_tolerance_below_one_is_a_share_of_the_diagonal_and_sizes_may_be_unknown():
    compiled = tf.function(
        lambda labels, classes: boundaries.boundary_counts(labels, classes, K, 0.05),
        [tf.TensorSpec([None, None, None], tf.int32), tf.TensorSpec([None, None, None], tf.uint8)],
    )
    for shape in ((1, 30, 40), (2, 60, 45)):
        labels, classes = blobs(1, shape)
        np.testing.assert_array_equal(
            compiled(labels, classes), literal_counts(labels, classes, 0.05 * np.hypot(*shape[1:]))
        )


def test_a_tolerance_beyond_the_image_takes_no_more_than_its_diagonal():
    labels, classes = blobs(3, (1, 9, 12))
    counts = boundaries.boundary_counts(labels, classes, K, 15)
    np.testing.assert_array_equal(boundaries.boundary_counts(labels, classes, K, 1e9), counts)
    present = counts.numpy()[[0, 2]].all(axis=0)
    np.testing.assert_array_equal(counts.numpy()[[1, 3]][:, present], counts.numpy()[[0, 2]][:, present])


def test_it_compiles_with_xla():
    labels, classes = blobs(2, (1, 21, 23))
    compiled = tf.function(lambda a, b: boundaries.boundary_counts(a, b, K, 2), jit_compile=True, autograph=False)
    np.testing.assert_array_equal(compiled(labels, classes), literal_counts(labels, classes, 2))


def test_scores_are_two_pr_over_p_plus_r_and_nan_without_any_boundary():
    scores = boundaries.boundary_f_scores([[10, 0, 0, 4], [5, 0, 0, 0], [4, 0, 3, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(scores, [2 * 0.5 * 0.25 / 0.75, np.nan, 0, 0])


def test_a_shift_within_the_tolerance_is_perfect_and_beyond_it_is_nothing():
    labels, classes = np.zeros((1, 20, 20), "int32"), np.zeros((1, 20, 20), "int32")
    labels[:, :, 10:], classes[:, :, 13:] = 1, 1
    for tolerance, expected in ((3, 1.0), (2.9, 0.0)):
        scores = boundaries.boundary_f_scores(boundaries.boundary_counts(labels, classes, 2, tolerance))
        np.testing.assert_array_equal(scores, [expected] * 2)


def test_ignored_pixels_and_the_border_make_no_boundary():
    labels = np.full((1, 9, 9), 255, "int32")
    labels[:, :, :4] = 1
    np.testing.assert_array_equal(boundaries.boundary_counts(labels, np.ones((1, 9, 9)), 2, 2), np.zeros([4, 2]))


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_a_tolerance_that_is_not_positive_is_refused(tolerance):
    with pytest.raises(ValueError, match="must be positive"):
        boundaries.check_tolerance(tolerance)
