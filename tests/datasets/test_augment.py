"""The plain augmentations, and that the crop read straight from the file is the same picture."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import augment, distortions, encoding, info
from tests import fakes
from tests.datasets import plain_augmentation as plain

CLASSES = info.DatasetInfo("fake", ("a", "b", "c"), ((0, 0, 0),) * 3)


def example(size=(24, 32)):
    return {
        "image": tf.cast(fakes.picture(0, size), tf.float32),
        "labels": tf.cast(fakes.labels(0, 3, size), tf.int32),
    }


def seeds(number):
    return [tf.constant([7, i], tf.int64) for i in range(number)]


def test_scales_have_equal_chance():
    drawn = [float(augment.draw_scale(seed, plain.SCALES)) for seed in seeds(700)]
    counts = np.bincount(np.searchsorted(plain.SCALES, drawn), minlength=7)
    assert set(drawn) == set(plain.SCALES)
    # Five standard deviations of a binomial of 700 draws with p = 1/7.
    assert np.abs(counts - 100).max() < 5 * np.sqrt(700 * 6 / 49)


@pytest.mark.parametrize(("scale", "size"), [(0.5, (12, 16)), (0.75, (18, 24)), (1.25, (31, 41)), (2.0, (50, 66))])
def test_scaling_gives_the_whole_part_of_scale_times_size(scale, size):
    scaled = plain.random_scale(example((25, 33)), seeds(1)[0], scales=(scale,))
    assert scaled["image"].shape == (*size, 3) and scaled["labels"].shape == size


def test_scaling_aligns_the_corners():
    original, scaled = example(), plain.random_scale(example(), seeds(1)[0], scales=(1.75,))
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        np.testing.assert_array_equal(scaled["image"][corner], original["image"][corner])
        assert scaled["labels"][corner] == original["labels"][corner]


def test_scaled_labels_have_no_new_values():
    scaled = plain.random_scale(example(), seeds(1)[0], scales=(1.3,))
    assert set(np.unique(scaled["labels"])) <= set(np.unique(example()["labels"]))


def test_padding_is_at_the_bottom_and_the_right():
    original, padded = example(), plain.pad(example(), size=(30, 20))
    assert padded["labels"].shape == (30, 32)
    np.testing.assert_array_equal(padded["image"][:24], original["image"])
    assert (padded["image"][24:].numpy() == 127.5).all() and (padded["labels"][24:].numpy() == 255).all()


def test_crop_offsets_reach_both_ends():
    offsets = {tuple(augment.draw_offset(seed, tf.constant([7, 5]), (5, 5)).numpy()) for seed in seeds(60)}
    assert offsets == {(0, 0), (1, 0), (2, 0)}


def test_a_crop_is_a_window_of_image_and_labels():
    original, size = example(), (9, 11)
    for seed in seeds(5):
        cropped = plain.random_crop(original, seed, size=size)
        top, left = augment.draw_offset(seed, tf.constant([24, 32]), size).numpy()
        np.testing.assert_array_equal(cropped["image"], original["image"][top : top + 9, left : left + 11])
        np.testing.assert_array_equal(cropped["labels"], original["labels"][top : top + 9, left : left + 11])


def test_flipping_mirrors_half_of_the_examples():
    original, flipped = example(), 0
    for seed in seeds(100):
        result = plain.random_flip(original, seed)
        mirrored = bool(augment.draw_flip(seed))
        flipped += mirrored
        for key in ("image", "labels"):
            np.testing.assert_array_equal(result[key], original[key][:, ::-1] if mirrored else original[key])
    assert abs(flipped - 50) < 25  # five standard deviations


def test_brightness_changes_half_of_the_examples_by_at_most_its_delta():
    deltas = np.array([float(distortions.draw_amount(seed, 32.0)) for seed in seeds(200)])
    assert np.abs(deltas).max() <= 32 and deltas.min() < -20 and deltas.max() > 20
    assert abs((deltas == 0).sum() - 100) < 36  # five standard deviations
    for seed in seeds(20):
        image = plain.random_brightness(example(), seed, max_delta=200.0)["image"].numpy()
        assert image.min() >= 0 and image.max() <= 255


@pytest.mark.parametrize("step", [plain.random_scale, plain.random_flip, plain.random_brightness])
def test_a_seed_gives_the_same_under_xla_and_without(step):
    if step is plain.random_scale:
        step = augment.draw_scale
        results = [tf.function(lambda s: step(s, plain.SCALES), jit_compile=j)(seeds(1)[0]) for j in (True, False)]
    else:
        results = [
            tf.function(lambda e, s: step(e, s)["image"], jit_compile=j)(example(), seeds(1)[0]) for j in (True, False)
        ]
    np.testing.assert_array_equal(*results)


def packed(size, kind, seed=0):
    """A serialized example with an image of noise, the hardest for a window decoder."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    with tempfile.NamedTemporaryFile() as file:
        Image.fromarray(noise).save(file, *kind[:1], **kind[1])
        file.flush()
        raw = {"id": "x", "image": file.name, "label": fakes.labels(seed, 3, size)}
        return encoding.encode_example(raw, CLASSES)[0]


KINDS = [
    ("JPEG", {"quality": 90, "subsampling": 2}),
    ("JPEG", {"quality": 90, "subsampling": 1}),
    ("JPEG", {"quality": 90, "subsampling": 0}),
    ("JPEG", {"quality": 90, "progressive": True}),
    ("PNG", {}),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", [(61, 83), (90, 40), (2, 5), (1, 90)])
@pytest.mark.parametrize(("size", "brightness"), [((33, 49), 0.0), ((70, 70), 32.0)])
def test_the_crop_read_straight_from_the_file_is_that_of_the_plain_steps(kind, stored, size, brightness):
    serialized = packed(stored, kind)
    for seed in seeds(12):
        settings = {"size": size, "scales": plain.SCALES, "flip": True}
        light = distortions.Distortions(brightness)
        parsed = encoding.parse_example(serialized)
        found = augment.augment(parsed, seed, **settings, distortions=light)
        expected = plain.augment(encoding.decode_example(parsed), seed, **settings, brightness=brightness)
        np.testing.assert_array_equal(tf.cast(found["labels"], tf.int32), expected["labels"])
        # Each axis may be sampled 2⁻²¹ of its length away, and float32 rounds coordinates to 2⁻²³ of it a few times;
        # a step of 255 between neighbors turns the distance into a difference.
        tolerance = 255 * sum(stored) * (2.0**-21 + 4 * 2.0**-23)
        np.testing.assert_allclose(found["image"], expected["image"], rtol=0, atol=tolerance)
