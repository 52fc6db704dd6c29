"""Writes what timm makes of the published EfficientNet-Lite0; needs torch, timm and the shared data.

    python -m tests.deeplab_ksac.backbones.references.make_published

The file holds, of the stages' features of a seeded image, the largest value and a few others at seeded places, and of
the photographs some of the class scores.
"""

import pathlib

import numpy as np
import safetensors.torch
import timm
import torch

from tests.datasets.samples import SHARED
from tests.deeplab_ksac.backbones.photographs import FOLDER, photographs
from tests.deeplab_ksac.backbones.seeded import sampled, seeded_image

WEIGHTS = "weights/tf_efficientnet_lite0.in1k/model.safetensors"
SIZE, OUTPUT_STRIDES = 65, (8, 32)


def features(path, image, output_stride):
    """What timm's Lite0 makes of an image [N, H, W, 3], already normalized: c2 … c5, arrays [N, h, w, C]."""
    extractor = timm.create_model("tf_efficientnet_lite0", features_only=True, output_stride=output_stride).eval()
    found = extractor.load_state_dict(safetensors.torch.load_file(path), strict=False)
    assert not found.missing_keys
    with torch.no_grad():
        maps = extractor(torch.from_numpy(image).permute(0, 3, 1, 2))[1:]
    return [features.permute(0, 2, 3, 1).numpy() for features in maps]


def class_scores(path, images):
    """timm's logits [N, 1000] of images [N, H, W, 3], RGB 0…255."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(safetensors.torch.load_file(path))
    with torch.no_grad():
        return network(torch.from_numpy(images / 127.5 - 1).permute(0, 3, 1, 2)).numpy()


def main():
    """Writes the file beside this one."""
    path, arrays = str(SHARED / WEIGHTS), {}
    for output_stride in OUTPUT_STRIDES:
        for stage, found in zip(("c2", "c3", "c4", "c5"), features(path, seeded_image(SIZE), output_stride)):
            name = f"os{output_stride}_{stage}"
            arrays[f"{name}_shape"], arrays[f"{name}_largest"] = found.shape, np.abs(found).max()
            arrays[f"{name}_values"] = found.ravel()[sampled(found.shape)]
    scores = class_scores(path, photographs(SHARED / FOLDER))
    arrays["scores"], arrays["scores_largest"] = scores.ravel()[sampled(scores.shape, 256)], np.abs(scores).max()
    np.savez_compressed(pathlib.Path(__file__).with_name("tf_efficientnet_lite0.in1k.npz"), **arrays)


if __name__ == "__main__":
    main()
