"""Tiny networks of the families that cannot be dilated, with the weights that timm's features were made with."""

import functools
import pathlib
import tempfile

import numpy as np
import safetensors.numpy

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES, convnext, hrnet, swin
from deeplab_ksac.backbones.weights import load_timm
from tests.deeplab_ksac.backbones.seeded import seeded_image, seeded_tensors

FOLDER = pathlib.Path(__file__).with_name("references")
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's, of images of 0…1
STAGES = ("c2", "c3", "c4", "c5")

MODULES = {"convnext": convnext, "hrnet": hrnet, "swin": swin}
ROWS = {"convnext": "convnext_tiny", "hrnet": "hrnet_w32", "swin": "swin_tiny"}
ARGUMENTS = {
    "convnext": {"widths": (4, 8, 12, 16), "depths": (1, 1, 2, 1)},
    "hrnet": {"width": 4, "modules": (2, 1, 1), "blocks": (2, 1, 1, 1)},
    "swin": {"width": 8, "depths": (2, 1, 2, 2), "heads": (1, 2, 2, 4), "window_size": (4, 4, 4, 2)},
}
CHANNELS = {"convnext": (4, 8, 12, 16), "hrnet": (4, 8, 16, 32), "swin": (8, 16, 32, 64)}


def colors(height, width, seed=1):
    """The image that normalization makes a seeded one: [1, height, width, 3] float32."""
    seeded = seeded_image(max(height, width, seed))[:, :height, :width]
    return ((seeded * DEVIATION + MEAN) * 255).astype("float32")


@functools.cache
def reference(family):
    """What references/<family>.npz holds: {"size", "shapes": {timm's name: shape}, "c2" … "c5": timm's features}."""
    with np.load(FOLDER / f"{family}.npz") as stored:
        shapes = {
            name: [int(n) for n in sides.split()] for name, sides in zip(stored["names"], stored["shapes"], strict=True)
        }
        return {"size": stored["size"].tolist(), "shapes": shapes, **{stage: stored[stage] for stage in STAGES}}


def write_weights(family, path, **changes):
    """The family's safetensors file, with some tensors added or replaced, or left out where they are None."""
    tensors = {**seeded_tensors(reference(family)["shapes"]), **changes}
    safetensors.numpy.save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def build(family, policy="float32", **changes):
    """A tiny network of a family, as its row of BACKBONES builds it."""
    keras.mixed_precision.set_global_policy(policy)
    return BACKBONES[ROWS[family]](**{**ARGUMENTS[family], **changes})


def load(model, family, path):
    """Gives a network a file's weights."""
    module = MODULES[family]
    load_timm(model, path, module.timm_tensors(model), module.TIMM.ignored)


@functools.cache
def tiny(family):
    """The network that references/<family>.npz describes; who changes its weights puts them back."""
    model = build(family)
    with tempfile.TemporaryDirectory() as folder:
        load(model, family, write_weights(family, pathlib.Path(folder) / "weights.safetensors"))
    return model


def largest_error(found, expected):
    """The largest deviation of any map from what is expected, as a part of that map's largest value."""
    pairs = [(np.asarray(found[key], "float64"), np.asarray(expected[key], "float64")) for key in expected]
    assert pairs and all(ours.shape == theirs.shape for ours, theirs in pairs)
    return max(np.abs(ours - theirs).max() / np.abs(theirs).max() for ours, theirs in pairs)
