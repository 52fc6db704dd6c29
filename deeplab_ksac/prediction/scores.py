"""From a model to scores: single scale, multi-scale with left-right flip ("MF"), sliding window, padding.

One place for it, shared by evaluation, prediction and export. Everything is a plain function of tensors that
works eagerly and in a `tf.function`, with static and dynamic sizes.
"""

import functools
import itertools
from collections.abc import Callable

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB
from deeplab_ksac.experiment import Views
from deeplab_ksac.foreign_code import has_foreign_code
from deeplab_ksac.layers import resize_bilinear, spatial_size
from deeplab_ksac.prediction.sliding import add_windows, as_maps, sliding_logits

PADDING_COLOR = 127.5  # what training pads with
MAX_RATIO = 2**10  # of a scale's numerator and denominator, so that their products with a side fit int32
IMAGE_SPEC = tf.TensorSpec([None, None, None, RGB.number], tf.float32, name="image")

Model = keras.Model | Callable[[tf.Tensor], tf.Tensor]


def image_spec(model: keras.Model) -> tf.TensorSpec:
    """`IMAGE_SPEC` of as many channels as a model takes."""
    return tf.TensorSpec([None, None, None, model.input_shape[-1]], tf.float32, name="image")


def logits_model(model: keras.Model) -> keras.Model:
    """The part of `model` that its logits need, with its variables: image [N, H, W, 3] -> [N, H, W, K]."""
    return keras.Model(model.input, model.output["logits"], name="logits")


def logits_function(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """`logits_model` as a `tf.function`, float32: traced once, however many scales, flips and windows call it."""
    forward = logits_model(model)

    def logits(image):
        return tf.cast(forward(image, training=False), tf.float32)

    return tf.function(logits, autograph=has_foreign_code(forward))


def side_at_scale(side: int | tf.Tensor, scale: float) -> int | tf.Tensor:
    """The side of the input at one scale: int(scale · side), plus 1 if that is even while `side` is odd.

    An odd side stays odd, so that the corners of the feature maps stay on the corners of the image (513 at
    0.5 is 257). `side` is an integer or a scalar tensor; so is the result.
    """
    if isinstance(side, int):
        scaled = max(int(scale * side), 1)
        return scaled + 1 if scaled % 2 == 0 and side % 2 == 1 else scaled
    numerator, denominator = float(scale).as_integer_ratio()
    if max(numerator, denominator) <= MAX_RATIO:  # TensorFlow Lite has no product of float64
        scaled = tf.maximum(side * numerator // denominator, 1)
    else:
        scaled = tf.maximum(tf.cast(tf.cast(side, tf.float64) * scale, tf.int32), 1)
    return scaled + tf.cast((scaled % 2 == 0) & (side % 2 == 1), tf.int32)


def predict_logits(model: Model, image: tf.Tensor, views: Views = Views()) -> tf.Tensor:
    """Logits at the image's size, averaged over the views: [N, H, W, 3] -> [N, H, W, K] float32.

    Per scale the image is resized (bilinear, corners aligned) to `side_at_scale`, and the logits back. One
    scale of 1.0 without flip is the model itself. One view is computed after the other, so that the memory
    is that of the largest.

    Args:
        model: image [n, h, w, 3] float32 -> logits [n, h, w, K], or a dict with "logits".
        image: float32 RGB 0 … 255.
        views: how the model sees the image; their `average` is of no account here.
    """
    return _mean_over_views(model, image, views)


def predict_probabilities(model: Model, image: tf.Tensor, views: Views = Views()) -> tf.Tensor:
    """Class probabilities at the image's size: [N, H, W, 3] -> [N, H, W, K] float32, summing to 1 over K."""
    return as_probabilities(predict_scores(model, image, views), views)


def predict_classes(model: Model, image: tf.Tensor, views: Views = Views()) -> tf.Tensor:
    """The most likely class of every pixel: [N, H, W, 3] -> uint8 [N, H, W]."""
    return most_likely(predict_scores(model, image, views))


def predict_scores(model: Model, image: tf.Tensor, views: Views = Views()) -> tf.Tensor:
    """The mean of what `views` average, logits or probabilities: [N, H, W, 3] -> [N, H, W, K] float32."""
    return _mean_over_views(model, image, views, None if views.average == "logits" else tf.nn.softmax)


def as_probabilities(scores: tf.Tensor, views: Views) -> tf.Tensor:
    """The probabilities [..., K] of what `predict_scores` gave for the same views."""
    return tf.nn.softmax(scores) if views.average == "logits" else scores


def most_likely(scores: tf.Tensor) -> tf.Tensor:
    """The index of the largest score, the first of equals: [..., K] -> uint8 [...], K at most 256."""
    return tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)


def _mean_over_views(model, image, views, transform=None):
    """The mean of transform(logits) over all scales and flips, at the image's size."""
    height, width = spatial_size(image)
    image = image if views.pad_to is None else _padded(image, views.pad_to)
    if views.window is not None and transform is None:
        total = _sum_of_windows(model, image, views)
    else:
        total = _sum_of_views(model, image, views, transform)
    total = total if views.pad_to is None else total[:, :height, :width]
    return total / (len(views.scales) * len(_sides(views)))


def _sides(views):
    """Whether each view of one scale is mirrored."""
    return (False, True) if views.flip else (False,)


def _sum_of_views(model, image, views, transform):
    """The sum of transform(logits) over all views; they wait for one another, else all would be held at once."""
    size, total, before = spatial_size(image), 0.0, []
    for scale in views.scales:
        seen, resized_to = [], None if scale == 1.0 else size
        for mirrored in _sides(views):
            with tf.control_dependencies(before):
                scaled = _scaled(image, scale)
                logits = _view_logits(model, _mirror(scaled) if mirrored else scaled, views.window, resized_to)
            seen.append(_mirror(logits) if mirrored else logits)
            before = [logits]
        if transform is None:  # resizing is linear: once for both views
            seen = [tf.add_n(seen)]
        for view in seen:
            resized = view if resized_to is None or views.window is not None else resize_bilinear(view, size)
            total += resized if transform is None else transform(resized)
    return total


def _sum_of_windows(model, image, views):
    """The sum of the logits over all views through a window, in one map at the image's size."""
    size, total, forward = spatial_size(image), None, functools.partial(_forward, model)
    if not tf.executing_eagerly():  # the loop of each view would have a network of its own
        spec = tf.TensorSpec([None, None, None, image.shape[-1]], image.dtype)
        forward = tf.function(forward, [spec], autograph=False, experimental_attributes={"_noinline": True})
    for scale, mirrored in itertools.product(views.scales, _sides(views)):
        with tf.control_dependencies([] if total is None else [total]):
            scaled = _scaled(image, scale)
            resized_to = None if scale == 1.0 else size
            total = add_windows(total, forward, scaled, views.window, resized_to, mirrored=mirrored)
    return as_maps(total, tf.shape(image)[0], size)


def _scaled(image, scale):
    return image if scale == 1.0 else resize_bilinear(image, [side_at_scale(s, scale) for s in spatial_size(image)])


def _padded(image, pad_to):
    """The image filled up: RGB with what training pads with, other bands with their mean in the image."""
    missing = [tf.maximum(side - size, 0) for side, size in zip(pad_to, spatial_size(image), strict=True)]
    around = [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]]
    if image.shape[-1] == RGB.number:
        return tf.pad(image, around, constant_values=PADDING_COLOR)
    mean = tf.reduce_mean(image, axis=[1, 2], keepdims=True)
    return tf.pad(image - mean, around) + mean


def _mirror(x):
    return tf.reverse(x, axis=[2])


def _view_logits(model, image, window, size):
    if window is None:
        return _forward(model, image)
    return sliding_logits(lambda crop: _forward(model, crop), image, window, size)


def _forward(model, image):
    outputs = model(image, training=False) if isinstance(model, keras.Model) else model(image)
    return tf.cast(outputs["logits"] if isinstance(outputs, dict) else outputs, tf.float32)
