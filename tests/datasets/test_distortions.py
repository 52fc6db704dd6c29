"""Distortions of light, color and place against NumPy and Pillow, and that they leave padding and labels in order."""

import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import augment, distortions, encoding, info
from deeplab_ksac.datasets.distortions import Distortions
from tests import fakes

SIZE = (20, 30)
ONE = {"brightness": 40.0, "contrast": 0.5, "saturation": 0.8, "hue": 90.0, "rotation": 30.0, "cutout": 0.4}
CLASSES = info.DatasetInfo("fake", ("a", "b", "c"), ((0, 0, 0),) * 3)


def crop(size=SIZE):
    return tf.cast(fakes.picture(0, size), tf.float32), tf.constant(fakes.labels(0, 3, size))


def seeds(number):
    return [tf.constant([5, i], tf.int64) for i in range(number)]


def distorted(seed, largest, padded=0):
    """(image, labels) of a crop whose last `padded` columns are padding."""
    image, labels = crop()
    inside = np.ones(SIZE, bool)
    inside[:, SIZE[1] - padded :] = False
    image = tf.where(inside[..., None], image, 127.5)
    labels = tf.where(inside, labels, tf.constant(255, labels.dtype))
    image, labels = distortions.distort(
        image, labels, inside=tf.constant(inside), seed=seed, brightness_seed=seed, largest=largest
    )
    return image.numpy(), labels.numpy()


@pytest.mark.parametrize("name", ONE)
def test_each_changes_about_half_of_the_examples_and_is_a_function_of_the_seed(name):
    plain, labels = map(np.asarray, crop())
    changed = 0
    for seed in seeds(60):
        image, found = distorted(seed, Distortions(**{name: ONE[name]}))
        again, _ = distorted(seed, Distortions(**{name: ONE[name]}))
        np.testing.assert_array_equal(image, again)
        changed += not np.array_equal(image, plain)
        assert image.min() >= 0 and image.max() <= 255
        assert name in ("rotation", "cutout") or np.array_equal(found, labels)
    assert abs(changed - 30) < 5 * np.sqrt(60 / 4)  # five standard deviations


def test_nothing_is_changed_where_nothing_is_asked_for():
    image, labels = crop()
    found = distortions.distort(
        image, labels, inside=None, seed=seeds(1)[0], brightness_seed=None, largest=Distortions()
    )
    assert found == (image, labels)


def test_distortions_are_drawn_by_themselves():
    """One more distortion leaves the draws of the others as they are."""
    for seed in seeds(8):
        alone, _ = distorted(seed, Distortions(brightness=10.0))
        both, _ = distorted(seed, Distortions(brightness=10.0, cutout=0.4))
        kept = (both != 127.5).all(-1)
        np.testing.assert_array_equal(both[kept], alone[kept])


def test_which_examples_are_changed_is_drawn_for_each_distortion_by_itself():
    plain, number = np.asarray(crop()[0]), 40
    changed = {
        name: [not np.array_equal(distorted(seed, Distortions(**{name: most}))[0], plain) for seed in seeds(number)]
        for name, most in ONE.items()
    }
    for first, second in itertools.combinations(ONE, 2):
        alike = np.sum(np.equal(changed[first], changed[second]))
        assert abs(alike - number / 2) < 5 * np.sqrt(number / 4), (first, second)  # five standard deviations


def test_contrast_is_about_mid_gray_and_colors_about_their_own_gray():
    grays = np.broadcast_to(np.linspace(100, 150, SIZE[1], dtype=np.float32)[:, None], (*SIZE, 3))
    everywhere, labels, slopes = tf.ones(SIZE, bool), crop()[1], set()
    for seed in seeds(8):
        inputs = {"inside": everywhere, "seed": seed, "brightness_seed": seed}
        image, _ = distortions.distort(tf.constant(grays), labels, largest=Distortions(contrast=0.5), **inputs)
        slope = (image[0, -1, 0] - image[0, 0, 0]).numpy() / 50
        np.testing.assert_allclose(image, 127.5 + slope * (grays - 127.5), atol=1e-3)
        slopes.add(round(float(slope), 3))
        colors = Distortions(saturation=0.8, hue=90.0)
        same, _ = distortions.distort(tf.constant(grays), labels, largest=colors, **inputs)
        np.testing.assert_allclose(same, grays, atol=1e-3)
    assert len(slopes) > 2 and all(0.5 <= slope <= 1.5 for slope in slopes)


def test_light_is_that_of_a_loop_over_pixels():
    """x -> 127.5 + c · (gray + s · (color about the gray axis, turned)) + b by its definition, pixel by pixel."""
    gray = np.ones(3) / np.sqrt(3)
    for contrast, saturation, degrees in ((1.3, 1, 0), (1, 0.4, 0), (1, 1, 50.0), (0.7, 1.6, -110.0)):
        matrix = distortions.color_matrix(*map(tf.constant, map(np.float32, (contrast, saturation, degrees)))).numpy()
        for color in np.asarray(crop()[0]).reshape(-1, 3)[::97] - 127.5:
            along = gray * (gray @ color)
            across, angle = color - along, np.deg2rad(degrees)
            turned = across * np.cos(angle) + np.cross(gray, across) * np.sin(angle)  # Rodrigues
            # float32 of three products of values up to 128 · 2.6
            np.testing.assert_allclose(matrix @ color, contrast * (along + saturation * turned), atol=2e-3)


def test_a_third_of_a_turn_permutes_the_channels_and_no_saturation_is_gray():
    turn = distortions.color_matrix(tf.constant(1.0), tf.constant(1.0), tf.constant(120.0)).numpy()
    np.testing.assert_allclose(turn @ [3.0, 5.0, 7.0], [7.0, 3.0, 5.0], atol=1e-5)
    red, green = colorsys.rgb_to_hsv(1, 0, 0)[0], colorsys.rgb_to_hsv(*np.clip(turn @ [1.0, 0, 0], 0, 1))[0]
    assert (green - red) * 360 == pytest.approx(120, abs=1e-3)
    without = distortions.color_matrix(tf.constant(1.0), tf.constant(0.0), tf.constant(0.0)).numpy()
    np.testing.assert_allclose(without @ [3.0, 6.0, 9.0], [6.0, 6.0, 6.0], atol=1e-5)


@pytest.mark.parametrize(("degrees", "size"), ((7.0, (41, 41)), (-30.0, (41, 41)), (20.0, (31, 51))))
def test_a_turn_is_what_pillow_makes_of_it(degrees, size):
    image, labels = crop(size)  # Pillow turns about a corner of pixels, which is the middle of a picture of odd sides
    turned, found = distortions.rotated(image, labels, tf.constant(degrees))
    picture = Image.fromarray(np.asarray(labels))
    expected = np.asarray(picture.rotate(-degrees, Image.Resampling.NEAREST, fillcolor=255))
    assert (found == expected).numpy().mean() > 0.97  # the rest lies halfway between two pixels
    gray = [Image.fromarray(np.asarray(image[..., channel])) for channel in range(3)]
    bilinear = np.stack(
        [np.asarray(band.rotate(-degrees, Image.Resampling.BILINEAR, fillcolor=127.5)) for band in gray], -1
    )
    height, width = (side // 2 for side in size)
    distance = np.hypot(*np.mgrid[-height : height + 1, -width : width + 1])
    middle = distance < min(height, width) - 1  # at its edge Pillow samples without a fill
    np.testing.assert_allclose(turned.numpy()[middle], bilinear[middle], atol=0.05)
    assert (found.numpy() == 255).any() and (turned.numpy()[0, 0] == 127.5).all()


def test_a_part_that_is_cut_out_is_padding_of_the_share_asked_for():
    places = set()
    for seed in seeds(60):
        image, labels = distorted(seed, Distortions(cutout=0.4))
        cut = (image == 127.5).all(-1)
        np.testing.assert_array_equal(labels, np.where(cut, 255, crop()[1]))
        if cut.any():
            rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
            assert cut.sum() == 8 * 12 and (np.ptp(rows), np.ptp(columns)) == (7, 11)  # 0.4 of 20 and of 30
            places.add((rows[0], columns[0]))
    assert len(places) > 15
    assert len({(row > 6, column > 9) for row, column in places}) == 4  # in all quarters of where it can begin


def test_padding_keeps_its_color_and_its_label():
    for seed in seeds(10):
        image, labels = distorted(seed, Distortions(brightness=90.0, contrast=0.9, saturation=0.5, hue=30.0), padded=7)
        assert (image[:, -7:] == 127.5).all() and (labels[:, -7:] == 255).all()


def test_the_training_stream_is_distorted_the_same_wherever_it_begins(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(fakes.picture(0, (33, 44))).save(path)
    example = {"id": "a", "image": path, "label": fakes.labels(0, 3, (33, 44))}
    parsed = encoding.parse_example(encoding.encode_example(example, CLASSES)[0])
    settings = {"size": (25, 50), "scales": (1.0,), "flip": False}
    seed = seeds(3)[2]
    plain = augment.augment(parsed, seed, **settings)
    inside = (plain["image"].numpy() != 127.5).any(-1)
    image, labels = distortions.distort(
        plain["image"],
        plain["labels"],
        inside=tf.constant(inside),
        seed=seed,
        brightness_seed=augment.split_seed(seed)[1],
        largest=Distortions(**ONE),
    )
    found = augment.augment(parsed, seed, **settings, distortions=Distortions(**ONE))
    np.testing.assert_array_equal(found["image"], image)
    np.testing.assert_array_equal(found["labels"], labels)
