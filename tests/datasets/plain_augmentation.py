"""The augmentation of Sect. 2.3.1.5 step by step, each a pure function (example, seed, **args) -> example.

An example is {"image": float32 [H, W, 3], 0…255, "labels": int32 [H, W]}. The random numbers are those of the product.
"""

import tensorflow as tf

from deeplab_ksac.datasets.augment import draw_flip, draw_offset, draw_scale, split_seed
from deeplab_ksac.datasets.distortions import draw_amount

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)  # Sect. 2.3.1.5
PADDING_COLOR, IGNORE_LABEL = 127.5, 255


def augment(example, seed, *, size, scales, flip, brightness):
    """All of them in the author's order: scale, brightness, pad and crop to `size`, flip."""
    seeds = split_seed(seed)
    example = random_scale(example, seeds[0], scales=scales)
    if brightness:
        example = random_brightness(example, seeds[1], max_delta=brightness)
    example = random_crop(pad(example, size=size), seeds[2], size=size)
    return random_flip(example, seeds[3]) if flip else example


def random_scale(example, seed, *, scales):
    """Resizes to int(scale · size): the image bilinearly, the labels to the nearest, corners aligned in both."""
    stored = tf.cast(tf.shape(example["labels"]), tf.float32)
    size = tf.maximum(tf.cast(draw_scale(seed, scales) * stored, tf.int32), 1)
    image, labels = example["image"][tf.newaxis], example["labels"][tf.newaxis, ..., tf.newaxis]
    # `tf.image.resize` has no aligned corners, and `tf.compat.v1.image` warns at every start.
    image = tf.raw_ops.ResizeBilinear(images=image, size=size, align_corners=True)
    labels = tf.raw_ops.ResizeNearestNeighbor(images=labels, size=size, align_corners=True)
    return {**example, "image": image[0], "labels": labels[0, ..., 0]}


def random_brightness(example, seed, *, max_delta=32.0):
    """Adds one number to the whole image with probability one half, then clips to 0…255 (the author's code)."""
    return {**example, "image": tf.clip_by_value(example["image"] + draw_amount(seed, max_delta), 0.0, 255.0)}


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
