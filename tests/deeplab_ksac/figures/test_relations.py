"""Relations of pixels and classes on features whose relations are known."""

import numpy as np
import pytest

from deeplab_ksac.figures import relations


def blocks(num_classes=4, size=8):
    """Features of which every class has a direction of its own, and their labels: ([1, h, w, K], [1, h, w])."""
    labels = np.repeat(np.arange(num_classes), size * size // num_classes).reshape(1, size, size)
    return np.eye(num_classes, dtype=np.float32)[labels] * 3, labels.astype(np.int32)


def test_class_directions_of_their_own_give_a_diagonal_dependency_map():
    features, labels = blocks()
    gathered = relations.ClassDependency(4)
    gathered.update(features, labels)
    np.testing.assert_allclose(gathered.map(), np.eye(4), atol=1e-7)
    assert relations.off_diagonal_mean(gathered.map()) == 0


def test_two_classes_that_share_a_direction_depend_on_each_other_alone():
    features, labels = blocks()
    features[labels == 1] = features[labels == 0][0]
    gathered = relations.ClassDependency(4)
    gathered.update(features, labels)
    expected = np.eye(4)
    expected[0, 1] = expected[1, 0] = 1
    np.testing.assert_allclose(gathered.map(), expected, atol=1e-7)


def test_batches_of_any_size_give_the_centers_of_all_pixels_together():
    rng = np.random.default_rng(0)
    gathered, values, classes = relations.ClassDependency(5), [], []
    for batch, size in ((1, (3, 4)), (2, (5, 2)), (1, (1, 7))):
        features, labels = rng.normal(size=(batch, *size, 6)), rng.integers(0, 4, (batch, *size))
        labels[0, 0, 0] = 255
        gathered.update(features.astype(np.float32), labels.astype(np.int32))
        values.append(features.reshape(-1, 6))
        classes.append(labels.ravel())
    values, classes = np.concatenate(values), np.concatenate(classes)
    centers = gathered.centers()
    for k in range(4):
        np.testing.assert_allclose(centers[k], values[classes == k].mean(axis=0), rtol=1e-5, atol=1e-6)
    assert np.isnan(centers[4]).all() and np.isnan(gathered.map()[4]).all()
    assert np.isfinite(relations.off_diagonal_mean(gathered.map()))


def test_labels_are_brought_to_the_size_of_the_features():
    features, labels = blocks(size=4)
    gathered = relations.ClassDependency(4)
    gathered.update(features, labels.repeat(4, axis=1).repeat(4, axis=2))
    np.testing.assert_allclose(gathered.map(), np.eye(4), atol=1e-7)


def test_a_map_of_no_batch_is_refused():
    with pytest.raises(ValueError, match="no batch was added"):
        relations.ClassDependency(3).map()


def test_no_pixel_is_more_like_the_chosen_one_than_itself():
    features = np.random.default_rng(1).normal(size=(5, 7, 3)) * np.arange(1, 36).reshape(5, 7, 1)
    relation = relations.pixel_relation(features, (2, 3))
    assert np.unravel_index(relation.argmax(), relation.shape) == (2, 3)
    np.testing.assert_allclose(relation[2, 3], 1, rtol=1e-6)
    assert relation.min() >= -1 - 1e-6


def test_pixels_of_another_direction_have_no_relation():
    features, labels = blocks()
    features[0, 7, 7] = 0
    relation = relations.pixel_relation(features[0], (0, 0))
    np.testing.assert_array_equal(relation > 0.5, labels[0] == 0)


@pytest.mark.parametrize(
    ("point", "pixel"), [((0, 0), (0, 0)), ((32, 64), (4, 8)), ((16, 3), (2, 0)), ((32, 4), (4, 0))]
)
def test_a_point_of_the_image_lies_at_the_pixel_with_corners_aligned(point, pixel):
    assert relations.feature_pixel(point, (33, 65), (5, 9)) == pixel


@pytest.mark.parametrize("point", [(33, 0), (0, -1)])
def test_a_point_outside_the_image_is_refused(point):
    with pytest.raises(ValueError, match=r"lies outside the image of 33 rows and 65 columns"):
        relations.feature_pixel(point, (33, 65), (5, 9))


def test_the_frame_lies_where_the_predictions_differ():
    first = np.zeros((30, 40), int)
    second = first.copy()
    second[11:19, 22:33] = 1
    top, left, height, width = relations.largest_disagreement([first, second], size=(8, 11))
    assert (top, left, height, width) == (11, 22, 8, 11)
    assert relations.largest_disagreement([first, first]) is None


def test_with_a_truth_only_being_right_counts():
    truth = np.zeros((30, 40), int)
    first, second = truth.copy(), truth.copy()
    first[:5, :5], second[:5, :5] = 1, 2  # both wrong
    second[20:25, 20:25] = 3
    truth[21, 21] = 255
    assert relations.largest_disagreement([first, second], truth=truth, size=(5, 5)) == (20, 20, 5, 5)


def test_the_frame_of_a_single_prediction_lies_where_it_is_wrong_and_not_where_nothing_is_labeled():
    truth, prediction = np.zeros((30, 40), int), np.zeros((30, 40), int)
    truth[20:] = 255
    prediction[3:6, 2:8] = 1
    assert relations.largest_disagreement([prediction], truth=truth, size=(3, 6)) == (3, 2, 3, 6)
    assert relations.largest_disagreement([truth], truth=truth) is None
    assert relations.largest_disagreement([prediction]) is None
