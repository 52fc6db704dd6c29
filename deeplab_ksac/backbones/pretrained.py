"""Published weights of the backbones: timm's safetensors files and Keras' own, by path or by name.

A weight set is made for one way of building its network: an image normalized so, strides placed there, an epsilon.
`weight_arguments` says which arguments of the backbone's constructor that takes; a model built with them needs the
file only once, for `load_weights`.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import convnext, efficientnet, efficientnet_lite, hrnet, resnet, swin, xception
from deeplab_ksac.backbones.contract import PREPROCESSINGS
from deeplab_ksac.backbones.keras_weights import load_keras
from deeplab_ksac.backbones.mobilenet_v2 import KERAS as MOBILENET_V2_KERAS
from deeplab_ksac.backbones.mobilenet_v2 import TIMM as MOBILENET_V2_TIMM
from deeplab_ksac.backbones.weights import TimmFile, inspect_file, load_timm
from deeplab_ksac.json_files import check_fields, is_list_of, is_number, is_text, read_object

OBJECT = ("an object", lambda value: isinstance(value, dict))
MEAN = ("three numbers", lambda value: is_list_of(value, is_number) and len(value) == 3)
DEVIATION = ("three numbers above 0", lambda value: MEAN[1](value) and min(value) > 0)

TIMM_FILES = ("model.safetensors", "config.json")  # of a model on timm's pages: tensors, and what they are of

# backbone -> its `TimmWeights`
TIMM = {
    "resnet50": resnet.TIMM,
    "resnet101": resnet.TIMM,
    "xception65": xception.TIMM,
    "mobilenet_v2": MOBILENET_V2_TIMM,
    **dict.fromkeys(efficientnet.SIZES, efficientnet.TIMM),
    **dict.fromkeys(efficientnet_lite.SIZES, efficientnet_lite.TIMM),
    **dict.fromkeys(hrnet.HRNETS, hrnet.TIMM),
    **dict.fromkeys(swin.SWINS, swin.TIMM),
    **dict.fromkeys(convnext.CONVNEXTS, convnext.TIMM),
}

# backbone -> its `KerasWeights`
KERAS = {
    "resnet50": resnet.keras_weights(keras.applications.ResNet50),
    "resnet101": resnet.keras_weights(keras.applications.ResNet101),
    "mobilenet_v2": MOBILENET_V2_KERAS,
    **{size: efficientnet.keras_weights(size) for size in efficientnet.SIZES},
    "convnext_tiny": convnext.keras_weights(keras.applications.ConvNeXtTiny),
    "convnext_small": convnext.keras_weights(keras.applications.ConvNeXtSmall),
    "convnext_base": convnext.keras_weights(keras.applications.ConvNeXtBase),
    "convnext_large": convnext.keras_weights(keras.applications.ConvNeXtLarge),
    "convnext_xlarge": convnext.keras_weights(keras.applications.ConvNeXtXLarge),
}


def weight_arguments(name: str, weights: str) -> dict[str, Any]:
    """The arguments of a backbone's constructor that a weight set is made for: its preprocessing among them.

    Args:
        name: a key of `BACKBONES`.
        weights: "imagenet" for Keras' own, the path of such a file (h5), or of one that timm publishes (safetensors),
            or of the folder with its model.safetensors. A config.json next to the latter, as on timm's pages, gives
            the preprocessing; without it the usual one of the architecture is taken.

    Raises:
        OSError: there is no such file.
        ValueError: there are no such weights for this backbone, the file is not a safetensors file, or its config.json
            is damaged.
    """
    weights = _file_of(weights)
    if not is_timm(weights):
        return dict(_published(KERAS, name, weights).arguments)
    published, config = _published(TIMM, name, weights), _config_beside(weights)
    arguments = published.arguments
    if callable(arguments):
        arguments = arguments(inspect_file(weights, config.get("architecture")))
    if "mean" in config and "std" in config:
        arguments = {**arguments, "preprocessing": _preprocessing_of(config, weights)}
    return dict(arguments)


def weight_argument_names(name: str) -> tuple[frozenset[str], ...]:
    """The names of what `weight_arguments` gives for a backbone, whatever the file: of timm's files, of Keras'."""
    published = [table[name].arguments for table in (TIMM, KERAS) if name in table]
    return tuple(frozenset(found(TimmFile({})) if callable(found) else found) for found in published)


def load_weights(model: keras.Model, name: str, weights: str, arguments: Mapping[str, Any]) -> None:
    """Gives a backbone published weights, every tensor accounted for.

    Args:
        model: the backbone, or the segmentation model that it is part of.
        name: a key of `BACKBONES`.
        weights: as in `weight_arguments`.
        arguments: those that the backbone was built with.

    Raises:
        OSError: there is no such file, or it could not be fetched.
        ValueError: there are no such weights for this backbone, or the file is another network's; the message lists
            every tensor that is missing, unused or of another shape.
    """
    weights = _file_of(weights)
    if is_timm(weights):
        published = _published(TIMM, name, weights)
        load_timm(model, weights, published.tensors(model), published.ignored)
    else:
        load_keras(model, weights, _published(KERAS, name, weights), arguments)


def is_timm(weights: str) -> bool:
    """Whether weights are a safetensors file, by its name."""
    return str(weights).endswith(".safetensors")


def _file_of(weights):
    """The file that weights are in, of a folder as timm publishes it its model.safetensors."""
    if weights == "imagenet" or not os.path.isdir(weights):
        return str(weights)
    path = os.path.join(weights, TIMM_FILES[0])
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"the folder {weights} has no {TIMM_FILES[0]}: name a file of weights, or timm's folder"
        )
    return path


def _published(table, name, weights):
    """The line of a backbone in one of the tables."""
    if name not in table:
        kind = "safetensors files" if table is TIMM else "weights by Keras ('imagenet' or its h5 files)"
        raise ValueError(f"{weights}: backbone {name!r} has no {kind}; these have: {', '.join(table)}")
    return table[name]


def _config_beside(path):
    """What timm's config.json in the file's folder says of the network: architecture, mean, std; {} without one."""
    config = pathlib.Path(path).with_name(TIMM_FILES[1])
    if not config.is_file():
        return {}
    entries = read_object(config)
    check_fields(config, entries, {}, {"architecture": ("text", is_text), "pretrained_cfg": OBJECT})
    entries = {
        **entries.get("pretrained_cfg", {}),
        **{key: entries[key] for key in ("architecture",) if key in entries},
    }
    check_fields(config, entries, {}, {"mean": MEAN, "std": DEVIATION, "architecture": ("text", is_text)})
    return entries


def _preprocessing_of(config, path):
    """The name of the preprocessing with a mean and deviation, of images of 0…1."""
    for name, (scale, offset) in PREPROCESSINGS.items():
        mean, std = np.array(config["mean"]) * 255, np.array(config["std"]) * 255
        if np.allclose(scale, 1 / std, rtol=1e-3) and np.allclose(offset, -mean / std, rtol=1e-3, atol=1e-3):
            return name
    raise ValueError(
        f"the config.json next to {path} asks for images of mean {config['mean']} and deviation {config['std']}, "
        f"which is none of {', '.join(PREPROCESSINGS)}"
    )
