"""A trained model in half precision, weights and arithmetic."""

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.experiment import PRECISIONS, ModelSpec
from deeplab_ksac.model import build_model


def in_precision(model: keras.Model, spec: ModelSpec, precision: str, bands: Bands = RGB) -> keras.Model:
    """The same model with weights and arithmetic of another precision: half the memory, and faster where devices are.

    What the layers hold in float32 in any case stays there: the statistics of batch normalization, means over the
    image, the softmax of attention, the gates of channelized attention, the logits when they are resized and all after.
    A CPU computes float16 correctly, but some forty times slower than float32; bfloat16 at about its speed, and up to
    twice as fast with AMX (docs/benchmarks.md).

    Args:
        model: what `build_model(spec, …)` built, in float32.
        spec: its `ModelSpec`.
        precision: of `PRECISIONS`.
        bands: of its images.

    Returns:
        A new model, or `model` for float32.

    Raises:
        ValueError: for another precision; as `copy_weights`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == "float32":
        return model
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        half = build_model(spec, model.output["logits"].shape[-1], bands, blank=True)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    copy_weights(model, half)
    return half


def copy_weights(model: keras.Model, half: keras.Model) -> None:
    """Gives a model the weights of the same one in another precision, rounded.

    Raises:
        ValueError: a weight is beyond the range of that precision.
    """
    for weight, original in zip(half.weights, model.weights, strict=True):
        value = tf.cast(original, weight.dtype)
        if not tf.reduce_all(tf.math.is_finite(value)):
            raise ValueError(f"{original.name} has values outside the range of {weight.dtype.name}")
        weight.assign(value)
