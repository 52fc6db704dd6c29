"""ConvNeXt: against keras.applications, whose weights it takes; stochastic depth, arguments."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.convnext import ConvNeXtBlock, keras_weights, timm_tensors
from deeplab_ksac.backbones.convolutions import PadToMultiple
from tests.deeplab_ksac.backbones.families import family
from tests.deeplab_ksac.backbones.random_weights import randomize
from tests.deeplab_ksac.backbones.strided_models import build, colors, largest_error, tiny


def test_keras_weights_give_keras_features():
    theirs = family("convnext").ConvNeXt((1, 1, 2, 1), (4, 8, 12, 16), model_name="convnext_tiny", include_top=False)
    for layer in theirs.layers:
        if isinstance(layer, keras.Sequential):
            randomize(layer)
        elif layer.weights and not isinstance(layer, keras.layers.Normalization):
            layer.set_weights([np.random.default_rng(1).normal(size=w.shape) * 0.3 + 0.5 for w in layer.weights])
    model = build("convnext")
    for layer, values in keras_weights(keras.applications.ConvNeXtTiny).copy(theirs, model):
        layer.set_weights(values)
    image = colors(64, 96)
    found = model(image)
    normalized = theirs.layers[-1](found["c5"])  # theirs end with the classifier's normalization
    assert largest_error({"c5": normalized}, {"c5": theirs(image)}) < 1e-5


def test_every_weight_of_the_network_has_its_tensor():
    model = tiny("convnext")
    variables = [variable.ref() for _, variable, _ in timm_tensors(model)]
    assert len(variables) == len(set(variables)) == len(model.weights)


def test_an_image_skips_a_block_as_a_whole_or_has_it_scaled():
    block = ConvNeXtBlock(0.5, scale=1.0)
    features = np.random.default_rng(0).normal(size=[16, 3, 3, 4]).astype("float32")
    branch = (block(features) - features).numpy()
    trained = (block(features, training=True) - features).numpy()
    kept = np.array([np.any(change) for change in trained])
    assert 0 < kept.sum() < 16
    np.testing.assert_allclose(trained, branch * 2 * kept[:, np.newaxis, np.newaxis, np.newaxis], atol=1e-6)


def test_stochastic_depth_grows_linearly():
    rates = [layer.drop_path_rate for layer in tiny("convnext").layers if isinstance(layer, ConvNeXtBlock)]
    np.testing.assert_allclose(rates, np.linspace(0, 0.4, 5))


@pytest.mark.parametrize("shape", [[2, 5, 8, 3], [1, 4, 1, 2]])
def test_padding_completes_a_map_by_zeros_below_and_to_the_right(shape):
    features = np.random.default_rng(0).normal(size=shape).astype("float32")
    pads = [(0, 0), (0, -shape[1] % 4), (0, -shape[2] % 4), (0, 0)]
    np.testing.assert_array_equal(PadToMultiple(4)(tf.constant(features)), np.pad(features, pads))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"edge": "mirror"}, "edge must be one of pad, cut, not 'mirror'"),
        ({"depths": (1, 1, 1)}, r"widths \(4, 8, 12, 16\) and depths \(1, 1, 1\) must be of four stages"),
    ],
)
def test_wrong_arguments_are_refused_with_their_values(changes, message):
    with pytest.raises(ValueError, match=message):
        build("convnext", **changes)
