"""Writes what timm's networks of a few channels make of seeded weights and images; needs torch and timm.

    python -m tests.deeplab_ksac.backbones.references.make_tiny

The files are those of `make`, with all of a stage's features, of networks that have no published size small enough.
"""

import pathlib

import numpy as np
import timm
import torch

from tests.deeplab_ksac.backbones.seeded import seeded_image, seeded_tensors

STAGES = ("c2", "c3", "c4", "c5")
FOLDER = pathlib.Path(__file__).parent


def hrnet_stage(channels, modules, blocks, block_type="BASIC"):
    """A stage of timm's HRNet."""
    return {
        "num_modules": modules,
        "num_branches": len(channels),
        "block_type": block_type,
        "num_blocks": (blocks,) * len(channels),
        "num_channels": channels,
        "fuse_method": "SUM",
    }


# file -> timm's name, arguments of its constructor, height and width of the image, and those that zeros complete it to
REFERENCES = {
    "swin": (
        "swin_tiny_patch4_window7_224",
        {
            "img_size": (128, 64),
            "embed_dim": 8,
            "depths": (2, 1, 2, 2),
            "num_heads": (1, 2, 2, 4),
            "window_size": (4, 4, 4, 2),
            "num_classes": 2,
        },
        (125, 61),
        (128, 64),
    ),
    "convnext": (
        "convnext_tiny",
        {"dims": (4, 8, 12, 16), "depths": (1, 1, 2, 1), "num_classes": 2},
        (93, 70),
        (93, 70),
    ),
    "hrnet": (
        "hrnet_w32",
        {
            "head": "",
            "stage1": hrnet_stage((64,), 1, 2, "BOTTLENECK"),
            "stage2": hrnet_stage((4, 8), 2, 1),
            "stage3": hrnet_stage((4, 8, 16), 1, 1),
            "stage4": hrnet_stage((4, 8, 16, 32), 1, 1),
        },
        (96, 64),
        (96, 64),
    ),
}


def tiny_reference(network, arguments, size, completed):
    """The arrays of one file."""
    model = timm.create_model(network, **arguments).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in seeded_tensors(shapes).items()})
    image = np.zeros([1, *completed, 3], "float32")
    image[:, : size[0], : size[1]] = seeded_image(max(size))[:, : size[0], : size[1]]
    with torch.no_grad():
        maps = model.forward_intermediates(torch.from_numpy(image).permute(0, 3, 1, 2), intermediates_only=True)[-4:]
    return {
        "size": size,
        "names": list(shapes),
        "shapes": [" ".join(map(str, shape)) for shape in shapes.values()],
        **{stage: features.permute(0, 2, 3, 1).numpy() for stage, features in zip(STAGES, maps, strict=True)},
    }


def resized_position_bias(given, wanted):
    """A seeded table for windows of `given` pixels, resized by timm for windows of `wanted` pixels."""
    (table,) = seeded_tensors({"table": ((2 * given - 1) ** 2, 2)}).values()
    shape = ((2 * wanted - 1) ** 2, 2)
    return timm.layers.resize_rel_pos_bias_table(torch.from_numpy(table), (wanted, wanted), shape).numpy()


def main():
    """Writes all of them beside this file."""
    for name, arguments in REFERENCES.items():
        np.savez_compressed(FOLDER / f"{name}.npz", **tiny_reference(*arguments))
    tables = {f"{given}_to_{wanted}": resized_position_bias(given, wanted) for given, wanted in ((4, 7), (7, 3))}
    np.savez_compressed(FOLDER / "position_bias.npz", **tables)


if __name__ == "__main__":
    main()
