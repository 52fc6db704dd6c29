"""The layers that 8 bits cost most: one that cannot be rounded is named, whatever the reason."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.export.rounded_layers import cost_by_layer
from tests.deeplab_ksac.export.heads import build_head_model
from tests.deeplab_ksac.fake_model import random_images

PICTURES = [random_images(1, 17, 23, seed=seed)[0].astype("uint8") for seed in range(2)]


def build_plain_model():
    """Four convolutions, each of them with a bias and all but the last with ReLU."""
    keras.utils.set_random_seed(0)
    image = keras.Input([None, None, 3], name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="normalize")(image)
    for name in ("first", "second", "third"):
        x = keras.layers.Conv2D(8, 3, padding="same", name=name)(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.Model(image, {"logits": keras.layers.Conv2D(5, 1, name="classifier")(x)})


def with_outliers_in_the_map(model):
    """Of what the second layer gives, one channel is large that nothing reads: the rest has no levels left."""
    kernel, bias = model.get_layer("second").get_weights()
    model.get_layer("second").set_weights([kernel, np.concatenate([[1e5], bias[1:]])])
    kernel, bias = model.get_layer("third").get_weights()
    kernel[:, :, 0] = 0
    model.get_layer("third").set_weights([kernel, bias])


def with_outliers_in_the_kernel(model):
    """The second layer has large numbers for a channel that is always 0."""
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., 0] = 0
    model.get_layer("first").set_weights([kernel, np.concatenate([[0], bias[1:]])])
    kernel, bias = model.get_layer("second").get_weights()
    kernel[:, :, 0] = 1e4
    model.get_layer("second").set_weights([kernel, bias])


@pytest.mark.parametrize("spoil", [with_outliers_in_the_map, with_outliers_in_the_kernel])
def test_the_layer_that_has_no_levels_left_is_named_first(spoil):
    model = build_plain_model()
    before = cost_by_layer(model, PICTURES)
    assert set(before) == {"normalize", "first", "second", "third", "classifier"}
    assert max(before.values()) < 0.1
    spoil(model)
    weights, costs = model.get_weights(), cost_by_layer(model, PICTURES)
    names = list(costs)
    assert names[0] == "second" and costs["second"] > 0.3
    assert costs[names[1]] < 0.1 and list(costs.values()) == sorted(costs.values(), reverse=True)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["caa", "self_attention"])
def test_every_layer_with_a_kernel_has_a_name_that_its_weights_have(name):
    model = build_head_model(name)
    costs = cost_by_layer(model, PICTURES[:1])
    scopes = {weight.name.rpartition("/")[0] for weight in model.weights if len(weight.shape) > 1}
    assert scopes <= set(costs)
    layers = {layer.name for layer in model.layers}
    assert {found.partition("/")[0] for found in costs} <= layers
    norms = {weight.name.rpartition("/")[0] for weight in model.weights if "/gamma" in weight.name}
    assert norms and not norms & set(costs)  # they belong to the convolutions before them


def test_no_picture_is_an_error():
    with pytest.raises(ValueError, match="there are no pictures"):
        cost_by_layer(build_plain_model(), [])
