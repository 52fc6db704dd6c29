"""The rewrite on families of keras.applications: the dense network contains the strided one.

MobileNetV2 and EfficientNet, which are backbones here, are in test_backbones.py.
"""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import with_output_stride
from tests.deeplab_ksac.backbones.families import family
from tests.deeplab_ksac.backbones.random_weights import randomize

OPEN = {"include_top": False, "weights": None, "input_shape": [None, None, 3]}


def resnet50():
    def stages(x):
        for number in range(2, 6):
            x = family("resnet").stack1(x, 4, 2, stride1=1 if number == 2 else 2, name=f"conv{number}")
        return x

    return family("resnet").ResNet(stages, False, True, "resnet", **OPEN)


def resnet50_v2():
    def stages(x):
        for number in range(2, 6):
            x = family("resnet").stack2(x, 4, 2, stride1=1 if number == 5 else 2, name=f"conv{number}")
        return x

    return family("resnet").ResNet(stages, True, True, "resnetv2", **OPEN)


def densenet121():
    return family("densenet").DenseNet([1, 2, 1, 2], **OPEN)


def xception():
    return keras.applications.Xception(**OPEN)


@pytest.mark.parametrize(
    "application, output_strides",
    [(resnet50, (16, 8)), (resnet50_v2, (16, 8)), (densenet121, (16, 8)), (xception, (8,))],
)
def test_the_dense_network_contains_the_strided_one(application, output_strides):
    keras.mixed_precision.set_global_policy("float64")
    model = application()
    randomize(model)
    image = np.random.default_rng(0).normal(size=[1, 65, 97, 3])
    expected = with_output_stride(model, 32)(image)
    for output_stride in output_strides:
        found = with_output_stride(model, output_stride)(image)
        for stage, stride in {"c2": 4, "c3": 8, "c4": 16, "c5": 32}.items():
            side, step = min(stride, output_stride), max(1, stride // output_stride)
            assert found[stage].shape[1:3] == (64 // side + 1, 96 // side + 1)
            largest = np.abs(expected[stage]).max()
            assert largest > 0
            # float64 rounds at 2e-16; no output is a sum of more than 2^13 terms
            np.testing.assert_allclose(found[stage][:, ::step, ::step], expected[stage], rtol=0, atol=2e-12 * largest)


@pytest.mark.parametrize("application", [resnet50, resnet50_v2, densenet121])
def test_at_output_stride_32_and_even_sizes_it_is_keras_network(application):
    model = application()
    randomize(model)
    image = np.random.default_rng(0).normal(size=[1, 64, 96, 3]).astype("float32")
    expected = model(image)
    found = with_output_stride(model, 32)(image)["c5"]
    # float32 rounds at 1.2e-7; no output is a sum of more than 2^10 terms
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.2e-7 * 2**10 * np.abs(expected).max())
