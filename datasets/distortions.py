"""Random distortions of a training crop: light, color, a small rotation, a part cut out.

Each is drawn by itself for every example, and with probability one half it changes nothing. Every number is a function
of the example's seed, so that a run that goes on sees what the run without an interruption sees.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deeplab_ksac.bands import Bands
from deeplab_ksac.datasets.info import IGNORE_LABEL

PADDING_COLOR = 127.5  # becomes 0 where a network maps 0…255 to −1…1
STREAM = 1  # by which the seeds of the distortions differ from those of scale, crop and flip

ALONG_GRAY = np.full((3, 3), 1 / 3, np.float32)  # projects a color onto the axis on which R = G = B
QUARTER_TURN = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.sqrt(np.float32(3))  # about that axis


class Distortions(NamedTuple):
    """How far each distortion goes at most; 0 is none.

    Attributes:
        brightness: of the number that is added to all values, of 0…255.
        contrast: of the relative change of each value's distance to 127.5, in [0, 1].
        saturation: of the relative change of a color's distance to its own gray, the mean of R, G and B, in [0, 1].
        hue: of the turn of all colors about the gray axis, in degrees, 0…180; 120 makes green of red.
        rotation: of the turn about the crop's middle, in degrees, 0…45; what comes in from outside is padding.
        cutout: share of the crop's height and width of a part that becomes padding, in [0, 1); it is always that large.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rotation: float = 0.0
    cutout: float = 0.0


UNDISTORTED = Distortions()


def require_colors(largest: Distortions, bands: Bands) -> None:
    """Raises ValueError for distortions of colors of pictures that are no RGB; brightness and contrast are of any."""
    for name in ("saturation", "hue"):
        if getattr(largest, name) and not bands.is_rgb:
            raise ValueError(
                f"{name} is {getattr(largest, name)}, but the pictures have {bands.describe()} and no colors; set it "
                "to 0 (brightness and contrast work)"
            )


def distort(
    image: tf.Tensor,
    labels: tf.Tensor,
    *,
    inside: tf.Tensor,
    seed: tf.Tensor,
    brightness_seed: tf.Tensor,
    largest: Distortions,
) -> tuple[tf.Tensor, tf.Tensor]:
    """(image float32 [h, w, C], 0…255, labels uint8 [h, w]) distorted, in the order of `Distortions`.

    Args:
        image, labels: the crop.
        inside: bool [h, w]: where the crop is no padding.
        seed: two integers, of the example.
        brightness_seed: of the brightness alone.
        largest: the bounds of what is drawn.
    """
    own = tf.random.experimental.stateless_fold_in(seed, STREAM, alg="philox")
    contrast_seed, saturation_seed, hue_seed, rotation_seed, cutout_seed, place_seed = tf.unstack(
        tf.random.experimental.stateless_split(own, 6, alg="philox")
    )
    changed = image
    if image.shape[-1] != 3:
        if largest.contrast:
            changed = (changed - 127.5) * (1 + draw_amount(contrast_seed, largest.contrast)) + 127.5
    elif largest.contrast or largest.saturation or largest.hue:
        matrix = color_matrix(
            1 + draw_amount(contrast_seed, largest.contrast),
            1 + draw_amount(saturation_seed, largest.saturation),
            draw_amount(hue_seed, largest.hue),
        )
        changed = tf.tensordot(changed - 127.5, matrix, [[2], [1]]) + 127.5
    if largest.brightness:
        changed = changed + draw_amount(brightness_seed, largest.brightness)
    if changed is not image:
        if image.shape[-1] == 3:  # other bands have no black and white
            changed = tf.clip_by_value(changed, 0.0, 255.0)
        image = tf.where(inside[..., tf.newaxis], changed, PADDING_COLOR)
    if largest.rotation:
        image, labels = rotated(image, labels, draw_amount(rotation_seed, largest.rotation))
    if largest.cutout:
        cut = draw_part(cutout_seed, place_seed, labels.shape, largest.cutout)
        image = tf.where(cut[..., tf.newaxis], PADDING_COLOR, image)
        labels = tf.where(cut, tf.constant(IGNORE_LABEL, labels.dtype), labels)
    return image, labels


def draw_amount(seed: tf.Tensor, largest: float) -> tf.Tensor:
    """With probability one half 0, else uniform in [−largest, largest): a float32 scalar."""
    draws = tf.random.stateless_uniform([2], seed, dtype=tf.float32, alg="philox")
    return tf.where(draws[0] < 0.5, (2.0 * draws[1] - 1.0) * largest, 0.0)


def draw_part(seed: tf.Tensor, place_seed: tf.Tensor, size: tuple[int, int], share: float) -> tf.Tensor:
    """bool [h, w]: with probability one half a part of `share` of both sides, anywhere inside; else nothing."""
    drawn = tf.random.stateless_uniform([], seed, dtype=tf.float32, alg="philox") < 0.5
    starts = tf.random.stateless_uniform([2], place_seed, dtype=tf.float32, alg="philox")
    lines = []
    for axis in (0, 1):
        length = round(share * size[axis])
        start = tf.cast(starts[axis] * (size[axis] - length + 1), tf.int32)
        number = tf.range(size[axis])
        lines.append((number >= start) & (number < start + length))
    return drawn & lines[0][:, tf.newaxis] & lines[1][tf.newaxis, :]


def color_matrix(contrast: tf.Tensor, saturation: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """contrast · (P + saturation · (cos φ · (1 − P) + sin φ · K)) of the angle φ, float32 [3, 3]: what is done to a
    color's distance to mid-gray.

    P projects onto the gray axis, which stays, and K turns what is across it by a quarter.
    """
    angle = degrees * (np.pi / 180)
    across = tf.cos(angle) * (np.eye(3, dtype=np.float32) - ALONG_GRAY) + tf.sin(angle) * QUARTER_TURN
    return contrast * (ALONG_GRAY + saturation * across)


def rotated(image: tf.Tensor, labels: tf.Tensor, degrees: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Image [h, w, C] and labels [h, w] turned clockwise about their middle; padding comes in at the corners.

    The image is sampled bilinearly, labels at the nearest pixel.
    """
    height, width = labels.shape
    angle = degrees * (np.pi / 180)
    cos, sin, zero = tf.cos(angle), tf.sin(angle), tf.constant(0.0)
    x, y = (width - 1) / 2, (height - 1) / 2
    # Where a pixel (x, y) of the result is taken from, as the operation's eight numbers.
    rows = [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y, zero, zero]

    def turned(picture, interpolation, fill):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=picture[tf.newaxis],
            transforms=tf.stack([rows]),
            output_shape=[height, width],
            fill_value=float(fill),
            interpolation=interpolation,
            fill_mode="CONSTANT",
        )[0]

    return tf.cond(
        degrees == 0,
        lambda: (image, labels),
        lambda: (
            tf.ensure_shape(turned(image, "BILINEAR", PADDING_COLOR), image.shape),
            tf.ensure_shape(turned(labels[..., tf.newaxis], "NEAREST", IGNORE_LABEL)[..., 0], labels.shape),
        ),
    )
