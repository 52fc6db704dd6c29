"""The backbones beside others' figures: their size beside the thesis's, their features beside timm's.

A folder of references holds pairs <network>_os<output stride>.safetensors and .npz: weights under timm's names, and in
the second "image" [N, H, W, 3], already normalized, with "c2" … "c5" [N, h, w, C], the features that timm makes of it.
"""

import functools
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Collection

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.contract import OUTPUT_STRIDES, STAGE_STRIDES
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.experiments import TABLES
from deeplab_ksac.flops.count import count_multiply_adds, model_graph
from deeplab_ksac.zero_weights import zero_weights

STAGES = tuple(STAGE_STRIDES)
TOLERANCE = 1e-4  # two frameworks' float32 agrees to this, relative to the largest value of a stage
NARROW, PLAIN_GRID, CUT = {"endpoints": "narrow"}, {"multi_grid": (1, 1, 1)}, {"edge": "cut"}

# timm's name -> our backbone, and the arguments with which it is the same network and gives the same tensors
NETWORKS = {
    **{f"resnet{depth}{stem}": (f"resnet{depth}", PLAIN_GRID) for depth in (50, 101) for stem in ("", "c", "s")},
    "xception65": ("xception65", {}),
    "mobilenetv2_050": ("mobilenet_v2", {"alpha": 0.5, **NARROW}),
    "mobilenetv2_100": ("mobilenet_v2", NARROW),
    "mobilenetv2_140": ("mobilenet_v2", {"alpha": 1.4, **NARROW}),
    **{f"{tf}efficientnet_b{size}": (f"efficientnet_b{size}", NARROW) for tf in ("tf_", "") for size in range(8)},
    **{f"tf_efficientnet_lite{size}": (f"efficientnet_lite{size}", NARROW) for size in range(5)},
    **{f"swin_{size}_patch4_window7_224": (f"swin_{size}", CUT) for size in ("tiny", "small", "base", "large")},
    **{f"convnext_{size}": (f"convnext_{size}", CUT) for size in ("tiny", "small", "base", "large", "xlarge")},
    **{f"hrnet_w{width}": (f"hrnet_w{width}", {}) for width in (32, 48)},  # features of timm's forward_intermediates
}

STRIDED = ("convnext", "hrnet", "swin")  # beginnings of backbones that are not made dense


def known(names: list[str]) -> list[str]:
    """The names of these backbones; all that there are where none is given.

    Raises:
        ValueError: one of them is no backbone's.
    """
    unknown = sorted(set(names) - set(BACKBONES))
    if unknown:
        raise ValueError(f"no backbone is named {unknown[0]!r}; there are {', '.join(BACKBONES)}")
    return list(names or BACKBONES)


def dense_strides(name: str) -> tuple[int, ...]:
    """The output strides at which a backbone is used: 8 and 16, or 32 where its strides cannot be taken away."""
    return OUTPUT_STRIDES[-1:] if name.startswith(STRIDED) else OUTPUT_STRIDES[:-1]


def size_of(name: str, output_stride: int, side: int = 513) -> tuple[int, int]:
    """(trainable parameters, multiply-adds for one image of side × side pixels) of a backbone."""
    with zero_weights():
        model = BACKBONES[name](output_stride)
    counts = count_multiply_adds(model_graph(model, side, side, outputs=STAGES))
    return sum(weight.shape.num_elements() for weight in model.trainable_weights), sum(counts.values())


def smallest_in_thesis(name: str, output_stride: int) -> tuple[float, str] | None:
    """The thesis's smallest model on a backbone: (G in its convention, its row and table); None where it has none."""
    rows = (
        (row.gflops, f"{row.method}, Table {number}", row.experiment.model)
        for number, table in TABLES.items()
        for row in table.rows.values()
        if row.gflops and row.experiment is not None
    )
    on_it = [(g, title) for g, title, m in rows if (m.backbone.name, m.output_stride) == (name, output_stride)]
    return min(on_it, default=None)


def find_references(folder: str | os.PathLike, backbones: Collection[str]) -> list[pathlib.Path]:
    """The files of weights in a folder of references that are of these backbones, by name.

    Raises:
        FileNotFoundError: it holds none, or none of these.
        ValueError: one of them is of a network that is not in `NETWORKS`.
    """
    found = sorted(pathlib.Path(folder).rglob("*_os*.safetensors"), key=lambda path: (path.name, path.parent.name))
    if not found:
        raise FileNotFoundError(f"{folder} holds no references, <network>_os<output stride>.safetensors and .npz")
    backbone_of = {path: NETWORKS[network_of(path)[0]][0] for path in found}
    chosen = [path for path, backbone in backbone_of.items() if backbone in backbones]
    if not chosen:
        wanted, there = (", ".join(sorted(names)) for names in (backbones, set(backbone_of.values())))
        raise FileNotFoundError(f"{folder} holds no references of {wanted}; there are {there}")
    return chosen


def network_of(path: pathlib.Path) -> tuple[str, int]:
    """(timm's network, output stride) of a reference, from its file's name.

    Raises:
        ValueError: a network that is not in `NETWORKS`.
    """
    match = re.fullmatch(r"(.+)_os(8|16|32)\.safetensors", path.name)
    if not match or match[1] not in NETWORKS:
        raise ValueError(f"{path} is no reference of a network known here: {', '.join(NETWORKS)}")
    return match[1], int(match[2])


def feature_errors(path: pathlib.Path) -> tuple[tuple[int, int], dict[str, float]]:
    """(height, width) of a reference's image, and stage -> error of our features from its weights.

    The error is the largest difference relative to the largest value; infinite where the shapes differ, or where one
    of them has a value that is not finite.

    Raises:
        OSError, ValueError: the weights or the features cannot be read.
    """
    network, output_stride = network_of(path)
    name, own = NETWORKS[network]
    arguments = {**weight_arguments(name, str(path)), **own, "preprocessing": "none"}
    model = built(name, output_stride, tuple(arguments.items()))
    load_weights(model, name, str(path), arguments)
    reference = _read_reference(path.with_suffix(".npz"))
    found = model(reference["image"])
    return reference["image"].shape[1:3], {
        stage: _difference(found[stage].numpy(), reference[stage]) for stage in STAGES if stage in reference
    }


def _read_reference(path):
    """{name: array} of a reference's image and features."""
    try:
        with np.load(path) as arrays:
            reference = dict(arrays)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be read: {in_one_line(error)}") from error
    image = reference.get("image", np.zeros(0))
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype.kind != "f":
        raise ValueError(f"{path} holds no image [N, H, W, 3] of floats")
    if not set(STAGES) & set(reference):
        raise ValueError(f"{path} holds no features, none of {', '.join(STAGES)}")
    return reference


@functools.lru_cache(maxsize=1)  # references of one network at several sizes follow each other
def built(name: str, output_stride: int, arguments: tuple) -> keras.Model:
    """The backbone of these arguments, (name, value) each."""
    return BACKBONES[name](output_stride, **dict(arguments))


def _difference(found, expected):
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return np.inf  # no NaN, which is never the largest
    return float(np.abs(found - expected).max() / np.abs(expected).max())
