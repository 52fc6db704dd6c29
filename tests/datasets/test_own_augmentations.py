"""Augmentations of one's own: after all others, from a seed of their own, and checked."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets.own_augmentations import apply_own

EXAMPLE = {"image": tf.fill([2, 3, 3], 100.0), "labels": tf.constant([[0, 1, 2], [255, 0, 1]], tf.uint8)}
SEED = tf.constant([3, 4], tf.int64)


def noisy(example, seed):
    return {**example, "image": example["image"] + tf.random.stateless_normal([2, 3, 3], seed)}


def applied(*augmentations, seed=SEED):
    return apply_own(EXAMPLE, seed, augmentations, num_classes=3)


def test_each_has_numbers_of_its_own_that_belong_to_the_example():
    once, again, twice = applied(noisy), applied(noisy), applied(noisy, noisy)
    np.testing.assert_array_equal(once["image"], again["image"])
    first, second = once["image"] - 100, twice["image"] - once["image"]
    assert np.abs(first - second).min() > 1e-3
    assert np.abs(applied(noisy, seed=SEED + 1)["image"] - once["image"]).min() > 1e-3
    np.testing.assert_array_equal(once["labels"], EXAMPLE["labels"])


def test_they_come_in_their_order():
    doubled = applied(lambda x, _: {**x, "image": x["image"] * 2}, lambda x, _: {**x, "image": x["image"] + 1})
    assert np.all(doubled["image"] == 201)


@pytest.mark.parametrize(
    "augmentation, words",
    (
        (lambda x, _: None, r"augmentations\[0\] must give {image, labels}, not NoneType"),
        (lambda x, _: {"image": x["image"]}, r"must give {image, labels}, not {image}"),
        (lambda x, _: {**x, "image": x["image"][:1]}, r"'image' as float32 \[2, 3, 3\].*not float32 \[1, 3, 3\]"),
        (lambda x, _: {**x, "labels": tf.cast(x["labels"], tf.int32)}, "'labels' as uint8 .* not int32"),
        (lambda x, _: {**x, "labels": 3}, "not int"),
    ),
)  # fmt: skip
def test_what_is_no_example_is_named(augmentation, words):
    with pytest.raises(ValueError, match=words):
        applied(augmentation)


def test_a_label_that_is_no_class_is_found():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)augmentations\[0\] gives the label.*7"):
        applied(lambda x, _: {**x, "labels": tf.fill([2, 3], tf.constant(7, tf.uint8))})
