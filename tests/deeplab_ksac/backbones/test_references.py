"""Every architecture's features from timm's weights beside timm's own."""

import pathlib

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from tests.deeplab_ksac.backbones.seeded import sampled, seeded_image, seeded_tensors

FOLDER = pathlib.Path(__file__).with_name("references")
NARROW, PLAIN_GRID = {"endpoints": "narrow"}, {"multi_grid": (1, 1, 1)}
NETWORKS = {  # timm's name -> ours, and what makes it the same network with the same outputs
    "resnet50c": ("resnet50", PLAIN_GRID),
    "xception65": ("xception65", {}),
    "mobilenetv2_050": ("mobilenet_v2", {"alpha": 0.5, **NARROW}),
    "tf_efficientnet_b0": ("efficientnet_b0", NARROW),
    "tf_efficientnet_lite0": ("efficientnet_lite0", NARROW),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_features_from_timms_weights_are_timms(network, tmp_path):
    name, own = NETWORKS[network]
    with np.load(FOLDER / f"{network}.npz") as stored:
        reference = dict(stored)
    shapes = {
        n: [int(side) for side in s.split()] for n, s in zip(reference["names"], reference["shapes"], strict=True)
    }
    path = str(tmp_path / f"{network}.safetensors")
    safetensors.numpy.save_file(seeded_tensors(shapes), path)

    arguments = {**weight_arguments(name, path), **own, "preprocessing": "none"}
    model = BACKBONES[name](int(reference["output_stride"]), **arguments)
    load_weights(model, name, path, arguments)
    pyramid = model(seeded_image(int(reference["size"])))
    for stage in ("c2", "c3", "c4", "c5"):
        found = pyramid[stage].numpy()
        assert found.shape == tuple(reference[f"{stage}_shape"])
        largest = reference[f"{stage}_largest"]
        # a wrong tensor anywhere shows in the first digit; two frameworks' float32 agrees to 1e-6 here
        np.testing.assert_allclose(
            found.ravel()[sampled(found.shape)], reference[f"{stage}_values"], rtol=0, atol=1e-4 * largest
        )
