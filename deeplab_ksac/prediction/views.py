"""From a model to scores: single scale, multi-scale with left-right flip ("MF"), sliding window, padding.

One place for it, shared by evaluation, prediction and export. Everything is a plain function of tensors that
works eagerly and in a `tf.function`, with static and dynamic sizes.
"""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers import resize_bilinear, spatial_size
from deeplab_ksac.prediction.windows import sliding_logits

AVERAGES = ("logits", "probabilities")
PADDING_COLOR = 127.5  # what training pads with
MAX_RATIO = 2**10  # of a scale's numerator and denominator, so that their products with a side fit int32
IMAGE_SPEC = tf.TensorSpec([None, None, None, 3], tf.float32, name="image")


def logits_model(model):
    """The part of `model` that its logits need, with its variables: image [N, H, W, 3] -> [N, H, W, K]."""
    return keras.Model(model.input, model.output["logits"], name="logits")


def logits_function(model):
    """`logits_model` as a `tf.function`, float32: traced once, however many scales, flips and windows call it."""
    forward = logits_model(model)

    def logits(image):
        return tf.cast(forward(image, training=False), tf.float32)

    return tf.function(logits, autograph=False)


def scaled_size(size, scale):
    """The side of the input at one scale: int(scale · size), plus 1 if that is even while `size` is odd.

    An odd side stays odd, so that the corners of the feature maps stay on the corners of the image (513 at
    0.5 is 257). `size` is an integer or a scalar tensor; so is the result.
    """
    if isinstance(size, int):
        scaled = max(int(scale * size), 1)
        return scaled + 1 if scaled % 2 == 0 and size % 2 == 1 else scaled
    numerator, denominator = float(scale).as_integer_ratio()
    if max(numerator, denominator) <= MAX_RATIO:  # TensorFlow Lite has no product of float64
        scaled = tf.maximum(size * numerator // denominator, 1)
    else:
        scaled = tf.maximum(tf.cast(tf.cast(size, tf.float64) * scale, tf.int32), 1)
    return scaled + tf.cast((scaled % 2 == 0) & (size % 2 == 1), tf.int32)


def predict_logits(model, image, *, scales=(1.0,), flip=False, window=None, pad_to=None):
    """Logits at the image's size, averaged over scales and flips: [N, H, W, 3] -> [N, H, W, K] float32.

    Per scale the image is resized (bilinear, corners aligned) to `scaled_size`, and the logits back. One
    scale of 1.0 without flip is the model itself. One view is computed after the other, so that the memory
    is that of the largest.

    Args:
        model: image [n, h, w, 3] float32 -> logits [n, h, w, K], or a dict with "logits".
        image: float32 RGB 0 … 255.
        scales: factors of the image's sides, each > 0.
        flip: whether each scale is also seen mirrored left to right.
        window: None, or the side in pixels (or (height, width)) of a window slid over each scaled image;
            windows overlap by a third, and their logits are averaged by coverage. Equal to None where one
            covers the image.
        pad_to: None, or the side in pixels (or (height, width)) to which smaller images are filled up at
            the bottom and the right (127.5) before all else, and their logits cut back: 513 for crops of
            PASCAL, (1025, 2049) for Cityscapes in the author's evaluation.

    Raises:
        ValueError: for scales, a window or a size to pad to that are empty or not positive.
    """
    return _mean_over_views(model, image, scales, flip, window, pad_to)


def predict_probabilities(model, image, *, average="logits", **views):
    """Class probabilities at the image's size: [N, H, W, 3] -> [N, H, W, K] float32, summing to 1 over K.

    Args:
        model, image, **views: as `predict_logits`.
        average: "logits" (the author's code), or "probabilities": the softmax of every view before the mean.

    Raises:
        ValueError: as `predict_logits`, and for another `average`.
    """
    scores = predict_scores(model, image, average=average, **views)
    return tf.nn.softmax(scores) if average == "logits" else scores


def predict_classes(model, image, *, average="logits", **views):
    """The likeliest class of every pixel: [N, H, W, 3] -> uint8 [N, H, W]; see `predict_probabilities`."""
    return most_likely(predict_scores(model, image, average=average, **views))


def predict_scores(model, image, *, average="logits", scales=(1.0,), flip=False, window=None, pad_to=None):
    """What is averaged, logits or probabilities: [N, H, W, 3] -> [N, H, W, K]; see `predict_probabilities`."""
    transform = None if check_average(average) == "logits" else tf.nn.softmax
    return _mean_over_views(model, image, scales, flip, window, pad_to, transform)


def most_likely(scores):
    """The index of the largest score, the first of equals: [..., K] -> uint8 [...], K at most 256."""
    return tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)


def check_average(average):
    """`average` itself.

    Raises:
        ValueError: if it is none of `AVERAGES`.
    """
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(map(repr, AVERAGES))}, not {average!r}")
    return average


def check_views(scales, window, pad_to=None):
    """(scales as a tuple, window as (height, width) or None, pad_to likewise).

    Raises:
        ValueError: for no scale, a scale or a side that is not positive.
    """
    scales = tuple(scales)
    if not scales or not all(scale > 0 for scale in scales):
        raise ValueError(f"scales must be one or more positive numbers, not {scales}")
    return scales, _sides("window", window), _sides("pad_to", pad_to)


def _sides(name, value):
    if value is None:
        return None
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"{name} must be a positive integer, a pair of them or None, not {value!r}")
    return sides


def _mean_over_views(model, image, scales, flip, window, pad_to, transform=None):
    """The mean of transform(logits) over all scales and flips, at the image's size."""
    scales, window, pad_to = check_views(scales, window, pad_to)
    height, width = spatial_size(image)
    image = image if pad_to is None else _padded(image, pad_to)
    size = spatial_size(image)
    total, before = 0.0, []  # each view waits for the one before: else all would be held in memory at once
    for scale in scales:
        views = []
        for mirrored in (False, True) if flip else (False,):
            with tf.control_dependencies(before):
                scaled = image if scale == 1.0 else resize_bilinear(image, [scaled_size(side, scale) for side in size])
                logits = _view_logits(model, _mirror(scaled) if mirrored else scaled, window)
            views.append(_mirror(logits) if mirrored else logits)
            before = [logits]
        if transform is None:  # resizing is linear: once for both views
            views = [tf.add_n(views)]
        for view in views:
            resized = view if scale == 1.0 else resize_bilinear(view, size)
            total += resized if transform is None else transform(resized)
    total = total if pad_to is None else total[:, :height, :width]
    return total / (len(scales) * (2 if flip else 1))


def _padded(image, pad_to):
    missing = [tf.maximum(side - size, 0) for side, size in zip(pad_to, spatial_size(image))]
    return tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]], constant_values=PADDING_COLOR)


def _mirror(x):
    return tf.reverse(x, axis=[2])


def _view_logits(model, image, window):
    if window is None:
        return _forward(model, image)
    return sliding_logits(lambda crop: _forward(model, crop), image, window)


def _forward(model, image):
    outputs = model(image, training=False) if isinstance(model, keras.Model) else model(image)
    return tf.cast(outputs["logits"] if isinstance(outputs, dict) else outputs, tf.float32)
