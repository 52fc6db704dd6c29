"""Augmentations of Sect. 2.3.1.5: pure functions (example, seed, **args) -> example.

An example is {"image": float32 [H, W, 3], 0…255, "labels": int32 [H, W]}; a seed is two integers. The same seed gives
the same result everywhere, under XLA too: every number comes from the Philox generator.
"""

import tensorflow as tf

from deeplab_ksac.datasets.info import IGNORE_LABEL

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
PADDING_COLOR = 127.5  # becomes 0 where a network maps 0…255 to −1…1
MAX_BRIGHTNESS = 32.0


def augment(example, seed, *, size, scales=SCALES, flip=True, brightness=0.0):
    """All of them in the author's order: scale, brightness, pad and crop to `size`, flip."""
    seeds = split_seed(seed)
    example = random_scale(example, seeds[0], scales=scales)
    if brightness:
        example = random_brightness(example, seeds[1], max_delta=brightness)
    example = random_crop(pad(example, size=size), seeds[2], size=size)
    return random_flip(example, seeds[3]) if flip else example


def split_seed(seed):
    """The seeds of scale, brightness, crop and flip."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, 4, alg="philox"))


def uniform(seed, shape=()):
    """float32 of `shape`, uniform in [0, 1), a function of the seed alone."""
    return tf.random.stateless_uniform(shape, seed, dtype=tf.float32, alg="philox")


def draw_scale(seed, scales):
    """One of `scales`, each with equal chance: a float32 scalar."""
    index = tf.random.stateless_uniform([], seed, 0, len(scales), tf.int32, alg="philox")
    return tf.constant(scales, tf.float32)[index]


def scaled_size(size, scale):
    """int(scale · size), and at least 1: int32 of the shape of `size`."""
    return tf.maximum(tf.cast(scale * tf.cast(size, tf.float32), tf.int32), 1)


def draw_offset(seed, size, crop_size):
    """(top, left) of a crop inside an image of `size`, uniform, both ends included: int32 [2]."""
    room = tf.maximum(size - tf.constant(crop_size, tf.int32), 0)
    return tf.minimum(tf.cast(uniform(seed, [2]) * tf.cast(room + 1, tf.float32), tf.int32), room)


def draw_flip(seed):
    """True with probability one half."""
    return uniform(seed) < 0.5


def draw_brightness(seed, max_delta):
    """What to add to every value: with probability one half 0, else uniform in [−max_delta, max_delta)."""
    draws = uniform(seed, [2])
    return tf.where(draws[0] < 0.5, (2.0 * draws[1] - 1.0) * max_delta, 0.0)


def random_scale(example, seed, *, scales=SCALES):
    """Resizes to int(scale · size): the image bilinearly, the labels to the nearest, corners aligned in both."""
    size = scaled_size(tf.shape(example["labels"]), draw_scale(seed, scales))
    image, labels = example["image"][tf.newaxis], example["labels"][tf.newaxis, ..., tf.newaxis]
    # `tf.image.resize` has no aligned corners, and `tf.compat.v1.image` warns at every start.
    image = tf.raw_ops.ResizeBilinear(images=image, size=size, align_corners=True)
    labels = tf.raw_ops.ResizeNearestNeighbor(images=labels, size=size, align_corners=True)
    return {**example, "image": image[0], "labels": labels[0, ..., 0]}


def random_brightness(example, seed, *, max_delta=MAX_BRIGHTNESS):
    """Adds one number to the whole image with probability one half, then clips to 0…255 (the author's code)."""
    return {**example, "image": tf.clip_by_value(example["image"] + draw_brightness(seed, max_delta), 0.0, 255.0)}


def pad(example, seed=None, *, size):
    """Fills up to at least `size` at the bottom and the right: the image with 127.5, the labels with 255."""
    missing = tf.maximum(tf.constant(size, tf.int32) - tf.shape(example["labels"]), 0)
    paddings = tf.stack([tf.zeros([2], tf.int32), missing], axis=1)
    image = tf.pad(example["image"], tf.concat([paddings, [[0, 0]]], axis=0), constant_values=PADDING_COLOR)
    labels = tf.pad(example["labels"], paddings, constant_values=IGNORE_LABEL)
    return {**example, "image": image, "labels": labels}


def random_crop(example, seed, *, size):
    """A window of `size` at an offset that is uniform over all that fit; image and labels at least that large."""
    top, left = tf.unstack(draw_offset(seed, tf.shape(example["labels"]), size))
    height, width = size
    image = tf.ensure_shape(example["image"][top : top + height, left : left + width], [height, width, 3])
    labels = tf.ensure_shape(example["labels"][top : top + height, left : left + width], [height, width])
    return {**example, "image": image, "labels": labels}


def random_flip(example, seed):
    """Mirrors image and labels left to right, with probability one half."""
    flip = draw_flip(seed)

    def mirror(x):
        return tf.cond(flip, lambda: tf.reverse(x, axis=[1]), lambda: x)

    return {**example, "image": mirror(example["image"]), "labels": mirror(example["labels"])}
