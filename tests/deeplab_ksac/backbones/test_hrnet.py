"""HRNet: the exchange between resolutions at any size, the head that is left out, arguments."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.hrnet import RepeatPixels, timm_tensors
from deeplab_ksac.layers import BatchNorm, ResizeLike
from tests.deeplab_ksac.backbones.strided_models import build, load, tiny, write_weights


@pytest.mark.parametrize("size, factor", [((6, 8), 2), ((5, 7), 2), ((9, 13), 4), ((1, 3), 8)])
def test_a_coarse_pixel_is_repeated_over_the_fine_ones_it_stands_for(size, factor):
    coarse = np.random.default_rng(0).normal(size=[2, -(-size[0] // factor), -(-size[1] // factor), 3])
    found = RepeatPixels(factor, dtype="float64")([tf.constant(coarse), tf.zeros([2, *size, 1], tf.float64)])
    assert found.shape == [2, *size, 3]
    for y, x in np.ndindex(*size):
        np.testing.assert_array_equal(found[:, y, x], coarse[:, y // factor, x // factor])


def test_the_classification_head_is_left_out(tmp_path):
    head = {
        "incre_modules.0.0.conv1.weight": np.zeros([32, 4, 1, 1], "float32"),
        "downsamp_modules.0.0.bias": np.zeros([8], "float32"),
        "final_layer.1.num_batches_tracked": np.zeros([], "int64"),
        "classifier.weight": np.zeros([10, 8], "float32"),
    }
    before = tiny("hrnet").get_weights()
    load(tiny("hrnet"), "hrnet", write_weights("hrnet", tmp_path / "w.safetensors", **head))
    for ours, theirs in zip(tiny("hrnet").get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_weight_of_the_network_has_its_tensor():
    model = tiny("hrnet")
    variables = [variable.ref() for _, variable, _ in timm_tensors(model)]
    assert len(variables) == len(set(variables)) == len(model.weights)


def test_bilinear_upsampling_takes_the_place_of_repetition_and_the_normalization_is_the_one_asked_for():
    model = build(
        "hrnet",
        modules=(1, 1, 1),
        blocks=(1, 1, 1, 1),
        upsampling="bilinear",
        norm=BatchNorm(momentum=0.9, synchronized=False),
    )
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(norm.momentum, norm.synchronized, norm.epsilon) for norm in norms} == {(0.9, False, 1e-5)}
    assert sum(isinstance(layer, ResizeLike) for layer in model.layers) == 1 + 3 + 6  # of pairs of 2, 3, 4 resolutions
    assert not [layer for layer in model.layers if isinstance(layer, RepeatPixels)]
    pyramid = model(np.zeros([1, 33, 50, 3], "float32"))
    assert [tuple(x.shape[1:3]) for x in pyramid.values()] == [(9, 13), (5, 7), (3, 4), (2, 2)]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"upsampling": "cubic"}, "upsampling must be one of nearest, bilinear, not 'cubic'"),
        ({"modules": (1, 1)}, r"modules \(1, 1\) must be three numbers"),
        ({"blocks": (1, 1, 1)}, r"blocks \(1, 1, 1\) four"),
    ],
)
def test_wrong_arguments_are_refused_with_their_values(changes, message):
    with pytest.raises(ValueError, match=message):
        build("hrnet", **changes)
