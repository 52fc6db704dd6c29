"""Writes what timm's networks make of seeded weights and images; needs torch and timm, which the project does not.

    python -m tests.deeplab_ksac.backbones.references.make

Each file holds the names and shapes of the network's tensors and, of every stage's features, the shape, the largest
value and a few others at seeded places.
"""

import pathlib

import numpy as np
import timm
import torch

from tests.deeplab_ksac.backbones.seeded import sampled, seeded_image, seeded_tensors

# network, output stride, size of the image
REFERENCES = (
    ("resnet50c", 8, 65),
    ("xception65", 16, 64),
    ("mobilenetv2_050", 16, 64),
    ("tf_efficientnet_b0", 8, 64),
    ("tf_efficientnet_lite0", 8, 64),
)


def main():
    """Writes all of them beside this file."""
    for network, output_stride, size in REFERENCES:
        write_reference(network, output_stride, size)


def write_reference(network, output_stride, size):
    """Writes one of them."""
    whole = timm.create_model(network, pretrained=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
    extractor = timm.create_model(network, pretrained=False, features_only=True, output_stride=output_stride).eval()
    tensors = [torch.from_numpy(tensor) for tensor in seeded_tensors(shapes).values()]
    # the same tensors by other names, in order; those of the classifier come last and have no place
    extractor.load_state_dict(dict(zip(extractor.state_dict(), tensors, strict=False)))
    with torch.no_grad():
        maps = extractor(torch.from_numpy(seeded_image(size)).permute(0, 3, 1, 2))[1:]
    arrays = {"size": size, "output_stride": output_stride, "names": list(shapes)}
    arrays["shapes"] = [" ".join(map(str, shape)) for shape in shapes.values()]
    for stage, features in zip(("c2", "c3", "c4", "c5"), maps, strict=True):
        features = features.permute(0, 2, 3, 1).numpy()
        arrays[f"{stage}_shape"], arrays[f"{stage}_largest"] = features.shape, np.abs(features).max()
        arrays[f"{stage}_values"] = features.ravel()[sampled(features.shape)]
    np.savez_compressed(pathlib.Path(__file__).with_name(f"{network}.npz"), **arrays)


if __name__ == "__main__":
    main()
