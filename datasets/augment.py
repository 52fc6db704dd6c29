"""The augmentation of Sect. 2.3.1.5: scale, brightness, pad, crop and flip in one sampling of an encoded example;
after it the further distortions of `deeplab_ksac.datasets.distortions`, where they are asked for.

The result is that of these steps one after another (labels equal, images up to the rounding of float32 coordinates),
at a fraction of the cost, from no more of the file than the crop shows. An image that fits into the crop is resized
whole, with `ResizeBilinear`, and padded. Of a larger one `ResizeBilinear` cannot give a part, since it begins at a
pixel; it is sampled along one axis, then along the other, and each time all values of a line move together: as the
depth of a `CropAndResize` over lines, which TensorFlow computes in vectors, where the same operation over pixels of
three channels is several times slower.

A seed is two integers. The same seed gives the same result everywhere, under XLA too: every number comes from the
Philox generator.
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.distortions import PADDING_COLOR, UNDISTORTED, Distortions, distort
from deeplab_ksac.datasets.info import IGNORE_LABEL

# A JPEG decoder interpolates color over one pixel beyond the window, which at its edge it does not have.
MARGIN = 2
PHOTOGRAPHS = 64.0  # about the deviation of a photograph's values
# `CropAndResize` takes rounded coordinates beyond the last pixel for padding, so they are drawn in by this share.
INWARD = 2.0**-21


def augment(
    parsed: Mapping[str, tf.Tensor],
    seed: tf.Tensor,
    *,
    size: tuple[int, int],
    scales: Sequence[float],
    flip: bool,
    distortions: Distortions = UNDISTORTED,
    bands: Bands = RGB,
) -> dict[str, tf.Tensor]:
    """The training crop of an encoded example: {"image": float32 [h, w, C], 0…255, "labels": uint8 [h, w]}.

    Args:
        parsed: of `encoding.parse_example`.
        seed: two integers.
        size: (h, w) of the crop in pixels. A smaller image is filled up at the bottom and the right (127.5, 255).
        scales: factors of the size, each with equal chance; the whole part of scale · size is taken.
        flip: whether to mirror half of the examples.
        distortions: how far the further changes go at most.
        bands: of the picture; `MeasuredBands` where it is no RGB. Its bands are changed as if they had the mean 127.5
            and the deviation 64 of a photograph, so that their padding is their mean, and a sensor's few values are not
            lost in a brightness of 24.
    """
    scale_seed, brightness_seed, crop_seed, flip_seed = split_seed(seed)
    stored = tf.stack([parsed["height"], parsed["width"]])
    scaled = tf.maximum(tf.cast(draw_scale(scale_seed, scales) * tf.cast(stored, tf.float32), tf.int32), 1)
    offset = draw_offset(crop_seed, tf.maximum(scaled, size), size)
    flipped = draw_flip(flip_seed) if flip else tf.constant(False)
    step = tf.cast(stored - 1, tf.float32) / tf.cast(tf.maximum(scaled - 1, 1), tf.float32)
    shown = [_positions(offset[axis], size[axis], scaled[axis], step[axis]) for axis in (0, 1)]
    # What fits into the crop is wanted whole; a single line has no second one to be sampled with.
    whole = tf.reduce_all(scaled <= size) | (tf.reduce_min(tf.minimum(stored, scaled)) == 1)
    begin, extent = _source_window(stored, shown)
    image = tf.cond(
        whole,
        lambda: _resized(_decode_whole(parsed, bands), scaled, offset, flipped, size),
        lambda: _sampled(_decode_window(parsed, begin, extent, bands), begin, shown, flipped, size),
    )
    rows, columns = (_nearest(shown[axis], begin[axis], extent[axis]) for axis in (0, 1))
    columns = tf.where(flipped, columns[::-1], columns)
    labels = _pick(tf.slice(encoding.decode_labels(parsed), begin, extent), rows, columns)
    image, labels = distort(
        tf.ensure_shape(image, [*size, bands.number]),
        tf.ensure_shape(labels, size),
        inside=(rows < extent[0])[:, tf.newaxis] & (columns < extent[1])[tf.newaxis, :],
        seed=seed,
        brightness_seed=brightness_seed,
        largest=distortions,
    )
    return {"image": image if bands.is_rgb else _as_measured(image, bands), "labels": labels}


def split_seed(seed: tf.Tensor) -> list[tf.Tensor]:
    """The seeds of scale, brightness, crop and flip."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, 4, alg="philox"))


def draw_scale(seed: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """One of `scales`, each with equal chance: a float32 scalar."""
    index = tf.random.stateless_uniform([], seed, 0, len(scales), tf.int32, alg="philox")
    return tf.constant(scales, tf.float32)[index]


def draw_offset(seed: tf.Tensor, size: tf.Tensor, crop_size: tuple[int, int]) -> tf.Tensor:
    """(top, left) of a crop inside an image of `size`, uniform, both ends included: int32 [2]."""
    room = tf.maximum(size - tf.constant(crop_size, tf.int32), 0)
    return tf.minimum(tf.cast(_uniform(seed, [2]) * tf.cast(room + 1, tf.float32), tf.int32), room)


def draw_flip(seed: tf.Tensor) -> tf.Tensor:
    """True with probability one half."""
    return _uniform(seed, []) < 0.5


def _uniform(seed, shape):
    """float32 of `shape`, uniform in [0, 1), a function of the seed alone."""
    return tf.random.stateless_uniform(shape, seed, dtype=tf.float32, alg="philox")


def _resized(image, scaled, offset, flipped, size):
    """The crop of the whole picture [H, W, C], resized to `scaled` and padded: float32 [h, w, C]."""
    channels = image.shape[-1]
    image = tf.cond(flipped, lambda: tf.reverse(image, axis=[1]), lambda: image)
    image = tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=scaled, align_corners=True)
    missing, room = tf.maximum(size - scaled, 0), tf.maximum(scaled - size, 0)
    left = tf.where(flipped, room[1] - offset[1], offset[1])
    columns = tf.where(flipped, tf.stack([missing[1], 0]), tf.stack([0, missing[1]]))
    # Lines of values are padded faster than pixels of three.
    image = tf.reshape(image, tf.stack([scaled[0], channels * scaled[1]]))
    image = tf.pad(image, [[0, missing[0]], channels * columns], constant_values=PADDING_COLOR)
    image = tf.slice(image, tf.stack([offset[0], channels * left]), [size[0], channels * size[1]])
    return tf.reshape(image, [*size, channels])


def _sampled(source, begin, shown, flipped, size):
    """The crop sampled from the window `source` at `begin`: float32 [h, w, C], the padding color outside."""
    rows, columns = (_box(shown[axis], begin[axis], tf.shape(source)[axis]) for axis in (0, 1))
    return _sample(source, rows, tf.where(flipped, columns[::-1], columns), size)


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


def _decode_whole(parsed, bands):
    """The picture [H, W, C]: RGB uint8, other bands float32 as of a photograph."""
    image = encoding.decode_image(parsed, bands)
    if bands.is_rgb:
        return image
    mean, deviation = (tf.constant(values, tf.float32) for values in (bands.mean, bands.deviation))
    return (tf.cast(image, tf.float32) - mean) * (PHOTOGRAPHS / deviation) + PADDING_COLOR


def _as_measured(image, bands):
    """What `_decode_whole` made of other bands than RGB, as they were."""
    mean, deviation = (tf.constant(values, tf.float32) for values in (bands.mean, bands.deviation))
    return (image - PADDING_COLOR) * (deviation / PHOTOGRAPHS) + mean


def _decode_window(parsed, begin, extent, bands):
    """The stored pixels [extent, C] from `begin` on, as `_decode_whole` gives them."""
    if not bands.is_rgb:
        image = _decode_whole(parsed, bands)
        return tf.slice(image, tf.concat([begin, [0]], axis=0), tf.concat([extent, [bands.number]], axis=0))
    window = tf.concat([begin, extent], axis=0)
    return tf.cond(
        parsed["format"] == "jpeg",
        lambda: tf.image.decode_and_crop_jpeg(
            parsed["encoded"], window, channels=3, dct_method=encoding.JPEG_TRANSFORM
        ),
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
    """Bilinear samples of [h', w', C] over the boxes: float32 [h, w, C], the padding color outside."""
    height, width, channels = tf.shape(source)[0], tf.shape(source)[1], source.shape[-1]
    columns = tf.reshape(tf.transpose(source, [1, 0, 2]), [1, width, 1, height * channels])
    columns = tf.reshape(_sample_lines(columns, column_box, size[1]), [size[1], height, channels])
    rows = tf.reshape(tf.transpose(columns, [1, 0, 2]), [1, height, 1, size[1] * channels])
    return tf.reshape(_sample_lines(rows, row_box, size[0]), [size[0], size[1], channels])


def _sample_lines(lines, box, number):
    """`number` lines between those of [1, h', 1, D], over the box: float32 [1, number, 1, D]."""
    return tf.raw_ops.CropAndResize(
        image=lines,
        boxes=tf.stack([[box[0], 0.0, box[1], 0.0]]),
        box_ind=[0],
        crop_size=[number, 1],
        extrapolation_value=PADDING_COLOR,
    )


def _nearest(shown, begin, extent):
    """Index within the window of the line nearest to each of the crop (halves up); `extent` in the padding."""
    positions, inside = shown
    whole = tf.floor(positions)
    index = tf.cast(whole, tf.int32) + tf.cast(positions - whole >= 0.5, tf.int32) - begin
    return tf.where(tf.range(tf.shape(positions)[0]) < inside, tf.minimum(index, extent - 1), extent)


def _pick(labels, rows, columns):
    """labels [H, W] at the rows and columns: [h, w]; an index one too large is padding.

    Whole lines are copied, first of the transpose, then of the labels, which is cheaper than picking pixels.
    """

    def lines(x, index):
        return tf.gather(tf.concat([x, tf.fill([1, tf.shape(x)[1]], tf.constant(IGNORE_LABEL, x.dtype))], 0), index)

    return lines(tf.transpose(lines(tf.transpose(labels), columns)), rows)
