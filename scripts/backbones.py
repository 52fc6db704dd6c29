"""Prints the backbones' sizes beside the thesis's, or their features' errors against timm's.

    python scripts/backbones.py                                  # parameters and multiply-adds at 513×513
    python scripts/backbones.py --reference=reference            # our features from timm's weights against timm's own

A folder of references holds pairs <network>_os<output stride>.safetensors and .npz: weights under timm's names, and in
the second "image" [N, H, W, 3], already normalized, with "c2" … "c5" [N, h, w, C], the features that timm makes of it.
"""

import functools
import gc
import pathlib
import re
import sys

import numpy as np
from absl import flags

from deeplab_ksac.scripts.commandline.entry import start

SIDE = 513
TOLERANCE = 1e-4
NARROW, PLAIN_GRID, CUT = {"endpoints": "narrow"}, {"multi_grid": (1, 1, 1)}, {"edge": "cut"}

# timm's name -> our backbone, and the arguments with which it is the same network and gives the same tensors
NETWORKS = {
    **{f"resnet{depth}{stem}": (f"resnet{depth}", PLAIN_GRID) for depth in (50, 101) for stem in ("", "c", "s")},
    "xception65": ("xception65", {}),
    "mobilenetv2_050": ("mobilenet_v2", {"alpha": 0.5, **NARROW}),
    "mobilenetv2_100": ("mobilenet_v2", NARROW),
    "mobilenetv2_140": ("mobilenet_v2", {"alpha": 1.4, **NARROW}),
    **{f"{tf}efficientnet_b{size}": (f"efficientnet_b{size}", NARROW) for tf in ("tf_", "") for size in range(8)},
    **{f"swin_{size}_patch4_window7_224": (f"swin_{size}", CUT) for size in ("tiny", "small", "base", "large")},
    **{f"convnext_{size}": (f"convnext_{size}", CUT) for size in ("tiny", "small", "base", "large", "xlarge")},
}


STAGES = ("c2", "c3", "c4", "c5")

# (backbone, output stride) -> multiply-adds of the thesis's smallest model on it in 2^30, and which model that is
THESIS = {
    ("resnet50", 8): (167.21, "self-attention, Table 4.4"),
    ("resnet50", 16): (39.94, "FCN, Table 2.1"),
    ("resnet101", 8): (245.09, "KSAC, Table 2.1"),
    ("resnet101", 16): (68.7, "axial attention, Table 3.1"),
    ("xception65", 8): (231.89, "KSAC + D, Table 2.1"),
    ("xception65", 16): (80.77, "KSAC + D, Table 2.1"),
}
STRIDED = ("convnext", "hrnet", "swin")  # beginnings of backbones that are not made dense


def define_flags():
    """What to print, and where references lie."""
    flags.DEFINE_string("reference", None, "folder of timm's weights and features; None prints sizes instead")
    flags.DEFINE_list("backbones", [], "names of backbones; all by default")


def run(given):
    """Prints the table that the flags ask for."""
    if given.reference is None:
        return print_sizes(given.backbones)
    return print_errors(pathlib.Path(given.reference), given.backbones)


def print_errors(folder, chosen):
    """Prints every reference's errors by stage; 1 where one of them exceeds the tolerance."""
    references = sorted(folder.rglob("*_os*.safetensors"), key=lambda path: (path.name, path.parent.name))
    if not references:
        raise FileNotFoundError(f"{folder} holds no references, <network>_os<output stride>.safetensors and .npz")
    print(f"{'network':<30}{'output stride':>14}{'image':>10}" + "".join(f"{stage:>10}" for stage in STAGES))
    worst = 0.0
    for path in references:
        network, output_stride = name_of(path)
        if chosen and NETWORKS.get(network, (None,))[0] not in chosen:
            continue
        size, errors = feature_errors(path, network, output_stride)
        shown = "".join(f"{errors[stage]:>10.1e}" if stage in errors else f"{'':>10}" for stage in STAGES)
        print(f"{network:<30}{output_stride:>14}{f'{size[0]}×{size[1]}':>10}{shown}", flush=True)
        worst = max(worst, *errors.values())
    if worst > TOLERANCE:
        print(f"backbones: errors of up to {worst:.1e}, above {TOLERANCE:.0e}", file=sys.stderr)
    return int(worst > TOLERANCE)


def print_sizes(chosen):
    """Prints every backbone's parameters and multiply-adds at its output strides, and the thesis's model on it."""
    from deeplab_ksac.backbones import BACKBONES

    unknown = sorted(set(chosen) - set(BACKBONES))
    if unknown:
        raise ValueError(f"no backbone is named {unknown[0]!r}; there are {', '.join(BACKBONES)}")
    size = f"G at {SIDE}×{SIDE}"
    print(f"{'backbone':<18}{'output stride':>14}{'parameters':>13}{size:>14}  in the thesis, with its head")
    for name in chosen or BACKBONES:
        for output_stride in (32,) if name.startswith(STRIDED) else (8, 16):
            parameters, giga = size_of(name, output_stride)
            gc.collect()  # a model is a cycle: its weights would stay until the collector happens to run
            total, model = THESIS.get((name, output_stride), ("", ""))
            print(f"{name:<18}{output_stride:>14}{parameters:>13,}{giga:>14.3f}  {total} {model}".rstrip(), flush=True)
    return 0


def size_of(name, output_stride):
    """(trainable parameters, multiply-adds in 2^30 for one image of 513×513) of a backbone."""
    from deeplab_ksac.backbones import BACKBONES
    from deeplab_ksac.flops.count import GIGA, count_multiply_adds, model_graph, zero_weights

    with zero_weights():
        model = BACKBONES[name](output_stride)
    counts = count_multiply_adds(model_graph(model, SIDE, SIDE, outputs=STAGES))
    return sum(weight.shape.num_elements() for weight in model.trainable_weights), sum(counts.values()) / GIGA


def name_of(path):
    """(timm's network, output stride) of a reference, from its file's name."""
    match = re.fullmatch(r"(.+)_os(8|16|32)\.safetensors", path.name)
    if not match or match[1] not in NETWORKS:
        raise ValueError(f"{path} is no reference of a network known here: {', '.join(NETWORKS)}")
    return match[1], int(match[2])


def feature_errors(path, network, output_stride):
    """(height, width) of a reference's image and stage -> largest difference of our features from its, relative to
    the largest of them."""
    from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments

    name, own = NETWORKS[network]
    arguments = {**weight_arguments(name, str(path)), **own, "preprocessing": "none"}
    model = built(name, output_stride, tuple(arguments.items()))
    load_weights(model, name, str(path), arguments)
    with np.load(path.with_suffix(".npz")) as reference:
        found = model(reference["image"])
        return reference["image"].shape[1:3], {
            stage: difference(found[stage].numpy(), reference[stage]) for stage in STAGES if stage in reference
        }


@functools.lru_cache(maxsize=1)  # references of one network at several sizes follow each other
def built(name, output_stride, arguments):
    """The backbone of these arguments."""
    from deeplab_ksac.backbones import BACKBONES

    return BACKBONES[name](output_stride, **dict(arguments))


def difference(found, expected):
    """The largest difference relative to the largest value; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    start("backbones", define_flags, run)
