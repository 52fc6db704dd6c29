"""Scale, pad, crop and flip in one sampling, from no more of the file than the crop shows.

The result is that of the plain steps in `datasets.augment` (the same draws; labels equal, images up to the rounding of
float32 coordinates), at a fraction of the cost. Bilinear sampling works along one axis, then along the other, and each
time all values of a line move together: as the depth of a `CropAndResize` over lines, which TensorFlow computes in
vectors, where the same operation over pixels of three channels is several times slower.
"""

import tensorflow as tf

from datasets import augment, encoding
from datasets.info import IGNORE_LABEL

# A JPEG decoder interpolates color over one pixel beyond the window, which at its edge it does not have.
MARGIN = 2
# `CropAndResize` takes rounded coordinates beyond the last pixel for padding, so they are drawn in by this share.
INWARD = 2.0**-21


def augment_encoded(parsed, seed, *, size, scales=augment.SCALES, flip=True, brightness=0.0):
    """`augment.augment` of an example that is still encoded: {"image": float32 [h, w, 3], "labels": uint8 [h, w]}.

    Args:
        parsed: of `encoding.parse_example`.
        seed: two integers.
        size: (h, w) of the crop.
        scales, flip, brightness: as in `augment.augment`.
    """
    scale_seed, brightness_seed, crop_seed, flip_seed = augment.split_seed(seed)
    stored = tf.stack([parsed["height"], parsed["width"]])
    scaled = augment.scaled_size(stored, augment.draw_scale(scale_seed, scales))

    def sampled():
        return _sampled_crop(
            parsed,
            size=size,
            stored=stored,
            scaled=scaled,
            offset=augment.draw_offset(crop_seed, tf.maximum(scaled, size), size),
            flip=augment.draw_flip(flip_seed) if flip else tf.constant(False),
            brightness=augment.draw_brightness(brightness_seed, brightness) if brightness else None,
        )

    def stepwise():
        example = encoding.decode_example(parsed)
        example = augment.augment(example, seed, size=size, scales=scales, flip=flip, brightness=brightness)
        return {**example, "labels": tf.cast(example["labels"], tf.uint8)}

    # A single line has no second one to be sampled with.
    return tf.cond(tf.reduce_min(tf.minimum(stored, scaled)) > 1, sampled, stepwise)


def _sampled_crop(parsed, *, size, stored, scaled, offset, flip, brightness):
    """The window at `offset` of the image scaled from `stored` to `scaled` (heights and widths)."""
    step = tf.cast(stored - 1, tf.float32) / tf.cast(scaled - 1, tf.float32)
    shown = [_positions(offset[axis], size[axis], scaled[axis], step[axis]) for axis in (0, 1)]
    begin, extent = _source_window(stored, shown)
    source = _decode_window(parsed, begin, extent)
    boxes = [_box(shown[axis], begin[axis], extent[axis]) for axis in (0, 1)]
    image = _sample(source, boxes[0], tf.where(flip, boxes[1][::-1], boxes[1]), size)
    rows, columns = (_nearest(shown[axis], stored[axis]) for axis in (0, 1))
    columns = tf.where(flip, columns[::-1], columns)
    if brightness is not None:
        inside = (rows < stored[0])[:, tf.newaxis, tf.newaxis] & (columns < stored[1])[tf.newaxis, :, tf.newaxis]
        image = tf.where(inside, tf.clip_by_value(image + brightness, 0.0, 255.0), augment.PADDING_COLOR)
    return {"image": image, "labels": _pick(encoding.decode_labels(parsed), rows, columns, size)}


def _positions(offset, length, scaled, step):
    """Where the window's lines lie in the stored image: (positions [length] in pixels, number inside the image)."""
    positions = tf.cast(tf.range(length) + offset, tf.float32) * step
    return positions, tf.minimum(scaled - offset, length)


def _source_window(stored, shown):
    """(begin [2], extent [2]) of the stored pixels that the sampling reads, with the decoder's margin."""
    first = tf.stack([tf.cast(positions[0], tf.int32) for positions, _ in shown])
    last = tf.stack([tf.cast(positions[inside - 1], tf.int32) + 1 for positions, inside in shown])
    begin = tf.maximum(first - MARGIN, 0)
    return begin, tf.minimum(last + MARGIN, stored - 1) - begin + 1


def _decode_window(parsed, begin, extent):
    """The stored pixels [extent, 3] from `begin` on, uint8."""
    window = tf.concat([begin, extent], axis=0)
    return tf.cond(
        parsed["format"] == "jpeg",
        lambda: tf.image.decode_and_crop_jpeg(parsed["encoded"], window, channels=3),
        lambda: tf.slice(
            tf.io.decode_png(parsed["encoded"], channels=3),
            tf.concat([begin, [0]], axis=0),
            tf.concat([extent, [3]], axis=0),
        ),
    )


def _box(shown, begin, extent):
    """First and last position of the window as shares of the decoded extent, as `CropAndResize` wants them: [2]."""
    positions, _ = shown
    length = tf.cast(extent - 1, tf.float32)
    ends = (tf.stack([positions[0], positions[-1]]) - tf.cast(begin, tf.float32)) / length
    return ends * (1 - 2 * INWARD) + INWARD


def _sample(source, row_box, column_box, size):
    """Bilinear samples of uint8 [h', w', 3] over the boxes: float32 [h, w, 3], the padding color outside."""
    height, width = tf.shape(source)[0], tf.shape(source)[1]
    columns = tf.reshape(tf.transpose(source, [1, 0, 2]), [1, width, 1, height * 3])
    columns = tf.reshape(_sample_lines(columns, column_box, size[1]), [size[1], height, 3])
    rows = tf.reshape(tf.transpose(columns, [1, 0, 2]), [1, height, 1, size[1] * 3])
    return tf.reshape(_sample_lines(rows, row_box, size[0]), [size[0], size[1], 3])


def _sample_lines(lines, box, number):
    """`number` lines between those of [1, h', 1, D], over the box: float32 [1, number, 1, D]."""
    return tf.raw_ops.CropAndResize(
        image=lines,
        boxes=tf.stack([[box[0], 0.0, box[1], 0.0]]),
        box_ind=[0],
        crop_size=[number, 1],
        extrapolation_value=augment.PADDING_COLOR,
    )


def _nearest(shown, stored):
    """Index of the stored line nearest to each line of the window (halves up); `stored` itself in the padding."""
    positions, inside = shown
    whole = tf.floor(positions)
    index = tf.cast(whole, tf.int32) + tf.cast(positions - whole >= 0.5, tf.int32)
    return tf.where(tf.range(tf.shape(positions)[0]) < inside, tf.minimum(index, stored - 1), stored)


def _pick(labels, rows, columns, size):
    """labels [H, W] at the rows and columns: [h, w]; an index one too large is padding.

    Whole lines are copied, first of the transpose, then of the labels, which is cheaper than picking pixels.
    """

    def lines(x, index):
        return tf.gather(tf.concat([x, tf.fill([1, tf.shape(x)[1]], tf.constant(IGNORE_LABEL, x.dtype))], 0), index)

    picked = lines(tf.transpose(lines(tf.transpose(labels), columns)), rows)
    return tf.ensure_shape(picked, size)
