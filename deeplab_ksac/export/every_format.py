"""Every backbone and head in every format: exported at random, run without this project, compared with the model.

A backbone is tried under the plainest head, a head on a small ResNet. What differs between the sizes of one
architecture is numbers of channels and of blocks, so that each architecture is tried small; and a backbone as it is in
`BACKBONES` where that is asked for.
"""

import functools
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.errors import in_one_line, is_input_error
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.export.checking import SHAPES, check_written
from deeplab_ksac.export.onnx_file import OPSET, export_onnx
from deeplab_ksac.export.saved_model import export_saved_model
from deeplab_ksac.export.tflite_file import export_tflite
from deeplab_ksac.heads import HEADS
from deeplab_ksac.model import build_model

CLASSES = 5
ONE_SIZE = SHAPES[1][1:]  # of the images, where a file takes one size alone
WRITERS = {"saved_model": export_saved_model, "onnx": export_onnx, "tflite": export_tflite}
FILES = {"saved_model": "served", "onnx": "model.onnx", "tflite": "model.tflite"}
RUN_BY = {"saved_model": ("saved_model",), "onnx": ("onnx",), "tflite": ("tflite", "litert")}

BLOCK = {"kernel_size": 3, "repeats": 1, "filters_in": 8, "filters_out": 8, "expand_ratio": 2, "id_skip": True}
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of EfficientNet's stages
SMALL = {  # of each function behind `BACKBONES`, arguments that make it small
    "convnext": {"widths": (8, 16, 24, 32), "depths": (1, 1, 2, 1)},
    "efficientnet": {
        "blocks": tuple(
            {**BLOCK, "filters_in": 8 if stage else 32, "kernel_size": 5 if stage in (2, 5) else 3, "strides": stride}
            | {"repeats": 1 + (stage == 2), "expand_ratio": 2 if stage else 1, "se_ratio": 0.5}
            for stage, stride in enumerate(STRIDES)
        )
    },
    "efficientnet_lite": {"width": 0.25, "depth": 0.5},
    "hrnet": {"width": 4, "modules": (1, 1, 1), "blocks": (1, 1, 1, 1)},
    "mobilenet_v2": {"alpha": 0.35},
    "resnet50": {"blocks": (1, 1, 2, 1), "width": 8},
    "resnet101": {"blocks": (1, 1, 3, 1), "width": 8},
    "swin": {"width": 12, "depths": (2, 2, 2, 2), "heads": (1, 2, 3, 6)},
    "xception65": {"width": 1 / 16, "middle_blocks": 1},
}
STRIDED = ("convnext", "hrnet", "swin")  # which have output stride 32 alone
ATTENTION = {"filters": 16, "key_filters": 4}
GATE = {"gate_width": 4, "gate_depth": 2}
HEAD_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "fcn": {"filters": 16},
    "deeplabv3": {"filters": 16},
    "ksac": {"filters": 16},  # whose rates reach beyond the maps of these images
    "experimental_ksac_learned": {"filters": 16},
    "experimental_ksac_dynamic": {"filters": 16},
    "axial": ATTENTION,
    "axial_squeeze_excite": ATTENTION,
    "caa": {**ATTENTION, **GATE},
    "self_attention": ATTENTION,
    "channelized_self_attention": {**ATTENTION, **GATE},
    "ccnet": ATTENTION,
    "danet": ATTENTION,
    "sequential": ATTENTION,
    "cpnet": {"filters": 16, "prior_size": (3, 5)},
    "ocr": ATTENTION,
    "upernet": {"filters": 16},
    "pspnet": {"filters": 16},
}


def networks() -> dict[str, Callable[[], keras.Model]]:
    """What is tried by default, by name: "backbone/…" and "head/…" -> a function that builds it small, at random."""
    architectures = {architecture_of(name): name for name in reversed(BACKBONES)}
    small = {
        f"backbone/{kind}": functools.partial(_backbone, name, **SMALL[kind]) for kind, name in architectures.items()
    }
    return {**dict(sorted(small.items())), **{f"head/{name}": functools.partial(_head, name) for name in HEADS}}


def whole_networks() -> dict[str, Callable[[], keras.Model]]:
    """The backbones as they are, by name: "whole/…" -> a function that builds it at random."""
    return {f"whole/{name}": functools.partial(_backbone, name) for name in BACKBONES}


def architecture_of(name: str) -> str:
    """The name of the function that makes a backbone in its sizes."""
    made_by = getattr(BACKBONES[name], "func", BACKBONES[name])
    return name if name.startswith("resnet") else made_by.__name__


def try_every_format(model: keras.Model, folder: str | os.PathLike) -> dict[str, dict]:
    """What became of a model in each format, in a folder that is left as it is.

    Returns:
        format -> {"bytes": of the file or folder, "sizes": "any" or "one", "refused": why not any size, or None, and
        what it is run by -> {"difference", "allowed"}: root mean squares, as `checking.check_written`; or -> the error
        in one line}. Or format -> {"refused": why it is not written at all}.
    """
    info = DatasetInfo("any", tuple(f"class {k}" for k in range(CLASSES)), voc_palette(CLASSES))
    return {form: _try(model, Path(folder) / FILES[form], form, info) for form in WRITERS}


def versions() -> str:
    """What the files are written with and run by."""
    packages = ("tensorflow", "tf2onnx", "onnxruntime", "ai-edge-litert")
    found = (f"{name} {_version(name)}" for name in packages)
    return f"{', '.join(found)}; ONNX opset {OPSET}, TensorFlow Lite schema 3"


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _try(model, path, form, info):
    """The record of one format."""
    refused = None
    for size in (None, ONE_SIZE) if form == "tflite" else (None,):
        options = {} if size is None else {"size": size}
        try:
            WRITERS[form](model, path, info=info, check=False, overwrite=True, **options)
            found = {kind: _compared(path, model, kind, size) for kind in RUN_BY[form] if _is_there(kind)}
        except Exception as error:
            if not is_input_error(error):
                raise
            refused = refused or in_one_line(error)
            continue
        if any("error" in result for result in found.values()) and size is None and form == "tflite":
            refused = refused or next(result["error"] for result in found.values() if "error" in result)
            continue
        size_of = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        return {"bytes": size_of, "sizes": "any" if size is None else "one", "refused": refused, **found}
    return {"refused": refused}


def _is_there(kind):
    """Whether what runs a file is installed; of LiteRT that is a choice."""
    return kind != "litert" or importlib.util.find_spec("ai_edge_litert") is not None


def _compared(path, model, kind, size):
    try:
        difference, allowed = check_written(path, model, kind=kind, size=size)
    except ValueError as error:
        return {"error": in_one_line(error)}
    return {"difference": difference, "allowed": allowed}


def _backbone(name, **arguments):
    """A backbone under the plainest head."""
    stride = 32 if architecture_of(name) in STRIDED else 16
    spec = ModelSpec(part(name, **arguments), part("fcn", filters=16), bottleneck=None, output_stride=stride)
    return _at_random(build_model(spec, CLASSES))


def _head(name):
    """A head on a small ResNet."""
    backbone = part("resnet50", **SMALL["resnet50"])
    spec = ModelSpec(backbone, part(name, **HEAD_ARGUMENTS[name]), output_stride=16)
    return _at_random(build_model(spec, CLASSES))


def _at_random(model):
    """Weights of which each has a say: an initial one may be 0 or 1e-6, as the scale of ConvNeXt's blocks."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            continue  # kernels are random as they are
        near_one = any(word in weight.name for word in ("variance", "gamma"))
        weight.assign(rng.uniform(0.5, 1.5, shape) if near_one else rng.normal(scale=0.1, size=shape))
    return model
