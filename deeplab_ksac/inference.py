"""From a model to a prediction: single scale, multi-scale with left-right flip ("MF"), sliding window.

One place for it, shared by evaluation, prediction and export. Everything is a plain function of tensors that
works eagerly and in a `tf.function`, with static and dynamic sizes.
"""

import functools

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.layers import resize_bilinear, spatial_size

AVERAGES = ("logits", "probabilities")
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
    scaled = tf.maximum(tf.cast(tf.cast(size, tf.float64) * scale, tf.int32), 1)
    return scaled + tf.cast((scaled % 2 == 0) & (size % 2 == 1), tf.int32)


def window_starts(size, window):
    """Where the windows of one axis begin: step int(2/3 · window), the last one flush with the border.

    1025 seen through 769 -> [0, 256]; a window at least as long as the axis -> [0]. int32 [windows].
    """
    stride = max(2 * window // 3, 1)
    last = tf.maximum(tf.convert_to_tensor(size) - window, 0)
    return tf.minimum(tf.range(0, last + stride, stride), last)


def predict_logits(model, image, *, scales=(1.0,), flip=False, window=None):
    """Logits at the image's size, averaged over scales and flips: [N, H, W, 3] -> [N, H, W, K] float32.

    Per scale the image is resized (bilinear, corners aligned) to `scaled_size`, and the logits back. One
    scale of 1.0 without flip is the model itself.

    Args:
        model: image [n, h, w, 3] float32 -> logits [n, h, w, K], or a dict with "logits".
        image: float32 RGB 0 … 255.
        scales: factors of the image's sides, each > 0.
        flip: whether each scale is also seen mirrored left to right.
        window: None, or the side in pixels (or (height, width)) of a window slid over each scaled image;
            windows overlap by a third, and their logits are averaged by coverage. Equal to None where one
            covers the image.

    Raises:
        ValueError: for scales or a window that are empty or not positive.
    """
    return _mean_over_views(model, image, scales, flip, window)


def predict_probabilities(model, image, *, scales=(1.0,), flip=False, window=None, average="logits"):
    """Class probabilities at the image's size: [N, H, W, 3] -> [N, H, W, K] float32, summing to 1 over K.

    Arguments as `predict_logits`, and
        average: "logits" (the author's code), or "probabilities": the softmax of every view before the mean.

    Raises:
        ValueError: as `predict_logits`, and for another `average`.
    """
    if check_average(average) == "probabilities":
        return _mean_over_views(model, image, scales, flip, window, transform=tf.nn.softmax)
    return tf.nn.softmax(predict_logits(model, image, scales=scales, flip=flip, window=window))


def predict_classes(model, image, *, scales=(1.0,), flip=False, window=None, average="logits"):
    """The likeliest class of every pixel: [N, H, W, 3] -> uint8 [N, H, W]; see `predict_probabilities`."""
    if check_average(average) == "logits":  # the softmax would not change the order
        scores = predict_logits(model, image, scales=scales, flip=flip, window=window)
    else:
        scores = predict_probabilities(model, image, scales=scales, flip=flip, window=window, average=average)
    return most_likely(scores)


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


def check_views(scales, window):
    """(scales as a tuple, window as (height, width) or None).

    Raises:
        ValueError: for no scale, a scale or a window side that is not positive.
    """
    scales = tuple(scales)
    if not scales or not all(scale > 0 for scale in scales):
        raise ValueError(f"scales must be one or more positive numbers, not {scales}")
    if window is None:
        return scales, None
    sides = (window, window) if isinstance(window, int) else tuple(window)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"window must be a positive integer, a pair of them or None, not {window!r}")
    return scales, sides


class Predictor:
    """A model and its way of inference, compiled once for images of every size.

    Example:
        predictor = Predictor(model, scales=(0.75, 1.0, 1.25), flip=True)
        classes = predictor(image)                          # uint8 [H, W], from RGB [H, W, 3], 0 … 255

    Arguments as `predict_probabilities`; batches [N, H, W, 3] give [N, H, W].
    """

    def __init__(self, model, *, scales=(1.0,), flip=False, window=None, average="logits"):
        check_views(scales, window)
        forward = logits_function(model)
        views = {"scales": scales, "flip": flip, "window": window, "average": check_average(average)}
        self._classes, self._probabilities = (
            tf.function(functools.partial(predict, forward, **views), [IMAGE_SPEC], autograph=False)
            for predict in (predict_classes, predict_probabilities)
        )

    def __call__(self, image):
        """RGB 0 … 255 of any number type, [H, W, 3] or [N, H, W, 3] -> the likeliest classes, uint8 array."""
        return _with_batch_axis(self._classes, image)

    def probabilities(self, image):
        """Like a call, but -> class probabilities, float32 array [H, W, K] or [N, H, W, K]."""
        return _with_batch_axis(self._probabilities, image)


def _with_batch_axis(predict, image):
    image = tf.cast(image, tf.float32)
    if image.shape.rank == 3:
        return predict(image[tf.newaxis]).numpy()[0]
    return predict(image).numpy()


def _mean_over_views(model, image, scales, flip, window, transform=None):
    """The mean of transform(logits) over all scales and flips, at the image's size."""
    scales, window = check_views(scales, window)
    size = spatial_size(image)
    total = 0.0
    for scale in scales:
        scaled = image if scale == 1.0 else resize_bilinear(image, [scaled_size(side, scale) for side in size])
        views = [_view_logits(model, scaled, window)]
        if flip:
            views.append(_mirror(_view_logits(model, _mirror(scaled), window)))
        if transform is None:  # resizing is linear: once for both views
            views = [tf.add_n(views)]
        for view in views:
            resized = view if scale == 1.0 else resize_bilinear(view, size)
            total += resized if transform is None else transform(resized)
    return total / (len(scales) * (2 if flip else 1))


def _mirror(x):
    return tf.reverse(x, axis=[2])


def _view_logits(model, image, window):
    return _forward(model, image) if window is None else _sliding_logits(model, image, window)


def _forward(model, image):
    outputs = model(image, training=False) if isinstance(model, keras.Model) else model(image)
    return tf.cast(outputs["logits"] if isinstance(outputs, dict) else outputs, tf.float32)


def _sliding_logits(model, image, window):
    """The logits of all windows, averaged by coverage: in strips left to right, then the strips downwards."""
    height, width = spatial_size(image)
    window_height, window_width = (tf.minimum(side, size) for side, size in zip(window, (height, width)))
    starts = window_starts(width, window[1])
    spec = tf.TensorSpec([None] * 4, tf.float32)

    def strip_at(top):
        strip = image[:, top : top + window_height]
        windows = tf.map_fn(  # [windows, N, window_height, window_width, K]
            lambda left: _forward(model, strip[:, :, left : left + window_width]),
            starts,
            fn_output_signature=spec,
            parallel_iterations=1,
        )
        return tf.transpose(overlap_mean(tf.transpose(windows, [0, 3, 1, 2, 4]), starts, width), [1, 2, 0, 3])

    tops = window_starts(height, window[0])
    strips = tf.map_fn(strip_at, tops, fn_output_signature=spec, parallel_iterations=1)
    return tf.transpose(overlap_mean(tf.transpose(strips, [0, 2, 1, 3, 4]), tops, height), [1, 0, 2, 3])


def overlap_mean(windows, starts, size):
    """Lays windows over an axis and averages them by coverage: [windows, length, ...], starts [windows] ->
    [size, ...]."""
    positions = starts[:, tf.newaxis] + tf.range(tf.shape(windows)[1])
    total = tf.math.unsorted_segment_sum(windows, positions, size)
    coverage = tf.math.unsorted_segment_sum(tf.ones_like(positions, windows.dtype), positions, size)
    return total / tf.reshape(coverage, tf.concat([[size], tf.ones([tf.rank(windows) - 2], tf.int32)], axis=0))
