"""Objects of a label map: what is one, what lies inside another, how well it is found."""

import numpy as np
import pytest

from deeplab_ksac.metrics.objects import find_objects, lies_inside_another, object_iou

K = 4


def picture(*rectangles, size=(120, 160)):
    """A label map of background with rectangles (label, top, left, bottom, right), the later ones over the earlier."""
    labels = np.zeros(size, np.int32)
    for label, top, left, bottom, right in rectangles:
        labels[top:bottom, left:right] = label
    return labels


def test_objects_are_the_connected_parts_of_a_class_that_are_large_enough():
    labels = picture(
        (1, 0, 0, 16, 16), (1, 16, 16, 32, 32), (1, 60, 0, 75, 17), (2, 60, 60, 76, 76), (255, 90, 0, 120, 160)
    )
    found = find_objects(labels, K)
    corner, other = found  # two squares that touch at a corner are one; 255 pixels are one too few
    assert (corner.label, corner.box, corner.pixels) == (1, (slice(0, 32), slice(0, 32)), 512)
    assert (other.label, other.pixels, other.size) == (2, 256, 16.0)
    assert [one.pixels for one in find_objects(labels, K, least=255)] == [512, 255, 256]
    assert {one.label for one in find_objects(labels, K, background=2)} == {0, 1}


@pytest.mark.parametrize(
    "around, lies",
    (
        ((2, 0, 0, 100, 100), True),
        ((2, 28, 28, 62, 62), False),  # less than four times as large
        ((0, 0, 0, 100, 100), False),  # the background surrounds nothing
        ((2, 0, 0, 44, 100), False),  # not half of the ring, with the background below
        ((2, 0, 0, 45, 100), True),
    ),
)
def test_an_object_lies_inside_a_large_one_of_another_class(around, lies):
    labels = picture(around, (1, 36, 36, 54, 54))
    one = next(one for one in find_objects(labels, K) if one.label == 1)
    assert lies_inside_another(labels, one, K) is lies


def test_an_ignored_border_does_not_count_in_the_ring():
    labels = picture((2, 0, 0, 100, 100), (255, 31, 31, 59, 59), (1, 36, 36, 54, 54))
    (one,) = (one for one in find_objects(labels, K) if one.label == 1)
    assert lies_inside_another(labels, one, K)
    labels[labels == 2] = 255
    assert not lies_inside_another(labels, one, K)  # nothing is known of what surrounds it


def test_the_iou_of_an_object_is_taken_near_it_without_others_of_its_class_and_what_is_ignored():
    labels = picture((1, 40, 40, 60, 60), (1, 40, 66, 60, 86), (255, 60, 40, 64, 60))
    one = find_objects(labels, K)[0]
    assert one.box == (slice(40, 60), slice(40, 60))
    classes = np.where(labels == 255, 1, labels)  # predicted there, and the neighbor too: neither counts
    assert object_iou(labels, classes, one, K) == 1.0
    classes[40:50, 40:60] = 0  # half is missed
    assert object_iou(labels, classes, one, K) == 0.5
    classes[30:40, 40:60] = 1  # as much is wrong above, within half a side
    assert object_iou(labels, classes, one, K) == pytest.approx(200 / 600)
    classes[:30] = 1  # farther away
    assert object_iou(labels, classes, one, K) == pytest.approx(200 / 600)
    assert object_iou(labels, np.zeros_like(classes), one, K) == 0.0


def test_an_object_at_the_border_is_looked_for_as_far_as_the_picture_goes():
    labels = picture((1, 0, 0, 20, 20))
    (one,) = find_objects(labels, K)
    assert object_iou(labels, labels, one, K) == 1.0 and not lies_inside_another(labels, one, K)
