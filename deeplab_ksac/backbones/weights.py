"""Published weights by name: safetensors files of timm into a network's variables, every tensor accounted for.

A backbone's module says which tensor goes where: `timm_tensors(model)` gives a list of (timm's name, variable, layout),
made from the layers' names, so that `model` may as well be the whole segmentation model the backbone is part of.
`TIMM = TimmWeights(timm_tensors, …)` in the module and a line in `backbones.pretrained` offer them to users.
"""

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import safetensors
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.stems import adapted_stem

CLASSIFIERS = ("fc.", "head.", "classifier.")
COUNTERS = (".num_batches_tracked",)  # PyTorch's batch normalization counts its updates; nothing here reads it

LAYOUTS = {
    "same": lambda tensor: tensor,
    "conv": lambda tensor: tensor.transpose(2, 3, 1, 0),  # OIHW -> HWIO
    "depthwise": lambda tensor: tensor.transpose(2, 3, 0, 1),  # C1HW -> HWC1
    "dense": lambda tensor: tensor.transpose(1, 0),  # OI -> IO
}
TYPES = ("F16", "BF16", "F32", "F64")  # of tensors that are read, by safetensors' names: what is no float is no weight
WRONG = {  # what an error calls the tensors that it lists
    "missing": "missing",
    "mistyped": f"not of {', '.join(TYPES)}",
    "misshapen": "misshapen",
    "infinite": "NaN or infinite",
    "unused": "unused",
}
RANKS = {"conv": 4, "depthwise": 4, "dense": 2}


@dataclasses.dataclass(frozen=True)
class TimmFile:
    """What a file of weights tells before it is loaded: its tensors' shapes by name, and timm's name of the network
    ("" if neither the file nor a config.json next to it says)."""

    shapes: Mapping[str, list]
    architecture: str = ""


@dataclasses.dataclass(frozen=True)
class TimmWeights:
    """The weights that timm publishes for a backbone.

    Attributes:
        tensors: model -> [(timm's name, variable, layout)], the module's `timm_tensors`.
        arguments: of the backbone's constructor, without which these weights would be another network's: its
            preprocessing, epsilon, padding, stem; or a function TimmFile -> arguments.
        ignored: as in `load_timm`.
    """

    tensors: Callable
    arguments: Mapping[str, typing.Any] | Callable
    ignored: tuple[str, ...] = CLASSIFIERS


def load_timm(
    model: keras.Model, path: str, tensors: list[tuple[str, tf.Variable, Any]], ignored: Sequence[str] = CLASSIFIERS
) -> None:
    """Gives a network's variables the tensors of a file of timm's, all of them or none.

    Args:
        model: the network, for the error's words: its name and the channels of its images.
        path: the file.
        tensors: as `load_tensors`.
        ignored: as `load_tensors`. Batch normalization's counters are always left out.

    Raises:
        OSError, ValueError: as `load_tensors`. Weights for images of another number of channels are named as such,
            unless they are for RGB, whose first kernel is adapted (`stems.adapted_stem`).
    """
    tensors = _for_channels(model, path, tensors)
    load_tensors(path, tensors, network=model.name, ignored=(*ignored, *COUNTERS))


def load_tensors(
    path: str, tensors: list[tuple[str, tf.Variable, Any]], *, network: str, ignored: Sequence[str] = ()
) -> None:
    """Gives variables the tensors of a safetensors file, all of them or none.

    Args:
        path: the file.
        tensors: (name in the file, variable, layout) for each; layout is a key of LAYOUTS or a function of the
            NumPy array that gives the variable's.
        network: whose variables they are, for the error's words.
        ignored: beginnings of names, or endings where they begin with a dot, of tensors that the network has no
            place for, such as the classifier's.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a safetensors file, or a tensor is missing, unused, of another shape or no float, or holds
            NaN or infinity; the one message lists them all.
    """
    values, wrong = {}, {"missing": [], "mistyped": [], "misshapen": [], "infinite": []}
    with opened(path) as stream:
        names = list(stream.keys())
        present = set(names)
        for name, variable, layout in tensors:
            if name not in present:
                wrong["missing"].append(name)
                continue
            kind = stream.get_slice(name).get_dtype()
            if kind not in TYPES:
                wrong["mistyped"].append(f"{name} {kind}")
                continue
            tensor = stream.get_tensor(name)
            value = _in_layout(tensor, layout)
            if value is None or tuple(value.shape) != tuple(variable.shape):
                wrong["misshapen"].append(f"{name} {list(tensor.shape)} for {variable.name} {list(variable.shape)}")
                continue
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
                values[name] = value.astype(variable.dtype.as_numpy_dtype)
            if not np.isfinite(values[name].astype("float32")).all():
                wrong["infinite"].append(name)
    used = {name for name, _, _ in tensors}
    wrong["unused"] = [name for name in names if name not in used and not _is_ignored(name, ignored)]
    if any(wrong.values()):
        listed = "; ".join(f"{WRONG[kind]}: {', '.join(found)}" for kind, found in wrong.items() if found)
        of_another = any(wrong[kind] for kind in ("missing", "misshapen", "unused"))
        holds = f"holds the weights of a network other than {network}" if of_another else "cannot be used"
        raise ValueError(f"{path} {holds}; {listed}")
    for name, variable, _ in tensors:
        variable.assign(values[name])


def opened(path: str) -> safetensors.safe_open:
    """A safetensors file, open for reading NumPy arrays.

    Raises:
        OSError: the file is not there.
        ValueError: it is no safetensors file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no weight file at {path}")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def inspect_file(path: str, architecture: str | None = None) -> TimmFile:
    """The TimmFile at a path; raises as `opened`."""
    with opened(path) as stream:
        shapes = {name: stream.get_slice(name).get_shape() for name in list(stream.keys())}
        return TimmFile(shapes, architecture or (stream.metadata() or {}).get("model", ""))


def norm_tensors(layer: keras.layers.Layer, name: str) -> list[tuple[str, tf.Variable, Any]]:
    """The four tensors of a batch normalization called `name` in timm, for `timm_tensors`."""
    return [
        (f"{name}.weight", layer.gamma, "same"),
        (f"{name}.bias", layer.beta, "same"),
        (f"{name}.running_mean", layer.moving_mean, "same"),
        (f"{name}.running_var", layer.moving_variance, "same"),
    ]


def affine_tensors(layer: keras.layers.Layer, name: str) -> list[tuple[str, tf.Variable, Any]]:
    """The two tensors of a layer normalization called `name` in timm, for `timm_tensors`."""
    return [(f"{name}.weight", layer.gamma, "same"), (f"{name}.bias", layer.beta, "same")]


def kernel_tensors(layer: keras.layers.Layer, name: str, layout: str) -> list[tuple[str, tf.Variable, Any]]:
    """The two tensors of a convolution or dense layer with bias called `name` in timm, for `timm_tensors`."""
    kernel = layer.depthwise_kernel if layout == "depthwise" else layer.kernel
    return [(f"{name}.weight", kernel, layout), (f"{name}.bias", layer.bias, "same")]


def _in_layout(tensor, layout):
    """The tensor as its variable holds it; None where it has not even the rank for it."""
    if callable(layout):
        return np.asarray(layout(tensor))
    if tensor.ndim != RANKS.get(layout, tensor.ndim):
        return None
    return LAYOUTS[layout](tensor)


def _is_ignored(name, ignored):
    return any(name.endswith(part) if part.startswith(".") else name.startswith(part) for part in ignored)


def _for_channels(model, path, tensors):
    """The tensors, the first convolution's kernel adapted where it was trained on RGB and the model takes other images.

    Raises:
        ValueError: it was trained on images with another number of channels that are no RGB.
    """
    channels, fitting = model.input_shape[-1], list(tensors)
    with opened(path) as stream:
        present = set(stream.keys())
        for place, (name, variable, layout) in enumerate(tensors):
            if name not in present or layout != "conv" or variable.shape[2] != channels:
                continue
            shape = stream.get_slice(name).get_shape()
            trained = shape[1] if len(shape) > 1 else channels
            if trained == channels or shape != [variable.shape[-1], trained, *variable.shape[:2]]:
                continue
            if trained != 3:
                raise ValueError(
                    f"{path} was trained on images of {trained} channel(s); {model.name} takes images of {channels}"
                )
            fitting[place] = (name, variable, lambda kernel: adapted_stem(LAYOUTS["conv"](kernel), channels))
    return fitting
