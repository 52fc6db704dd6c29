"""The weights that Keras publishes for its applications: from their h5 files into a backbone's variables."""

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.stems import adapted_stem, fits_stem


@dataclasses.dataclass(frozen=True)
class KerasWeights:
    """The weights that Keras publishes for a backbone.

    Attributes:
        network: (weights, backbone's own arguments) -> the network of `keras.applications`, without its top, with the
            weights "imagenet" or of a file.
        copy: (network, model) -> [(layer of the model, its weights)], those of the network where the model has them.
        arguments: of the backbone's constructor, without which these weights would be another network's.
    """

    network: Callable
    copy: Callable
    arguments: Mapping[str, typing.Any]


def same_layers(network: keras.Model, model: keras.Model) -> list[tuple[keras.layers.Layer, list[np.ndarray]]]:
    """The weights of every layer of the network whose name the model has, for `KerasWeights.copy`."""
    names = {layer.name for layer in model.layers}
    return [
        (model.get_layer(layer.name), layer.get_weights())
        for layer in network.layers
        if layer.weights and layer.name in names and not isinstance(layer, keras.layers.Normalization)
    ]


def load_keras(model: keras.Model, weights: str, published: KerasWeights, arguments: Mapping[str, Any]) -> None:
    """Gives a backbone the weights of `keras.applications`, the first kernel adapted to images that are no RGB.

    Args:
        model: the backbone, or the segmentation model that it is part of.
        weights: "imagenet", fetched from Keras' server or its folder of models, or the path of such a file.
        published: the backbone's `KerasWeights`.
        arguments: those the backbone was built with.

    Raises:
        OSError: the file is not there, or could not be fetched.
        ValueError: it holds another network's weights, or NaN or infinity.
    """
    if weights != "imagenet" and not os.path.isfile(weights):
        raise FileNotFoundError(f"there is no weight file at {weights}")
    try:
        network = published.network(weights, arguments)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"{weights} does not fit Keras' network of {model.name} without its top: {error}") from error
    except Exception as error:  # what keras.utils.get_file raises has no class of its own
        raise OSError(f"Keras' weights could not be fetched ({error}); give the path of the file instead") from error
    channels = model.input_shape[-1]
    pairs = [(layer, _fitted(layer, values, channels)) for layer, values in published.copy(network, model)]
    wrong = [
        f"{layer.name} takes {[list(weight.shape) for weight in layer.weights]}, not {[list(v.shape) for v in values]}"
        for layer, values in pairs
        if [tuple(weight.shape) for weight in layer.weights] != [value.shape for value in values]
    ]
    if wrong or not pairs:
        raise ValueError(f"{weights} holds the weights of a network other than {model.name}; {'; '.join(wrong)}")
    infinite = [layer.name for layer, values in pairs if not all(np.isfinite(value).all() for value in values)]
    if infinite:
        raise ValueError(f"{weights} cannot be used; NaN or infinite: {', '.join(infinite)}")
    for layer, values in pairs:
        layer.set_weights(values)


def _fitted(layer, values, channels):
    """The weights of a layer; the first convolution's, where the model takes other images than RGB, adapted to them."""
    if len(values) != len(layer.weights):
        return values
    return [
        adapted_stem(value, channels) if fits_stem(value, tuple(weight.shape), channels) else value
        for value, weight in zip(values, layer.weights, strict=True)
    ]
