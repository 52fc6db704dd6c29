"""Folds CAR's linear projection into the convolution after it, so that the exported model does not have it."""

import dataclasses

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.experiment import ModelSpec
from deeplab_ksac.heads.projection import fold_into_bottleneck
from deeplab_ksac.model import build_model


def without_projection(spec: ModelSpec) -> ModelSpec:
    """The `ModelSpec` of what `fold_projection` gives."""
    return dataclasses.replace(spec, projection=None)


def fold_projection(model: keras.Model, spec: ModelSpec, bands: Bands = RGB) -> keras.Model:
    """The same outputs without CAR's projection: the model as it is served and as its FLOPs are counted.

    The kernels are multiplied in float64, so that the logits differ by float32's rounding alone.

    Args:
        model: what `build_model(spec, …)` built.
        spec: its `ModelSpec`.
        bands: of its images.

    Returns:
        A new model, or `model` if it has no projection.
    """
    if spec.projection is None:
        return model
    folded = build_model(without_projection(spec), model.output["logits"].shape[-1], bands, blank=True)
    for layer in folded.layers:
        original = model.get_layer(layer.name) if layer.weights else None
        if layer.name.startswith("bottleneck_"):
            projection = model.get_layer(layer.name.replace("bottleneck", "projection"))
            fold_into_bottleneck(projection, original, layer)
        elif layer.weights:
            layer.set_weights(original.get_weights())
    return folded
