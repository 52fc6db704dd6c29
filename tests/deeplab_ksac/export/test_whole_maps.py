"""Models whose attention is not computed in parts, with the same weights."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from caa import ChannelizedSelfAttention
from deeplab_ksac.export import export_tflite
from deeplab_ksac.export.whole_maps import with_whole_maps
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.self_attention import PixelAttention
from deeplab_ksac.model import segmentation_model
from tests.deeplab_ksac.export.heads import build_head_model
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images
from tests.random_layers import randomize

IN_PARTS = {
    "self_attention": {"filters": 8, "key_filters": 4},
    "danet": {"num_classes": 5, "filters": 8, "key_filters": 4},
    "sequential": {"num_classes": 5, "filters": 8, "key_filters": 4, "ratio": 2},
    "channelized_self_attention": {"filters": 8, "key_filters": 4, "gate_width": 4, "gate_depth": 2},
}


def attentions(model):
    return [part for part in model.submodules if isinstance(part, PixelAttention | ChannelizedSelfAttention)]


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_copy_with_whole_maps_gives_the_same_numbers_and_leaves_the_model_as_it_is(name):
    image = keras.Input([None, None, 3], name="image")
    backbone = keras.Model(image, {"c5": keras.layers.Conv2D(6, 3, strides=4, padding="same")(image)})
    model = randomize(segmentation_model(backbone, HEADS[name](**IN_PARTS[name], name="head"), num_classes=5))
    kept = [part.map_bytes for part in attentions(model)]
    copy = with_whole_maps(model)
    assert len(kept) == 1 and None not in kept
    assert [part.map_bytes for part in attentions(copy)] == [None]
    assert [part.map_bytes for part in attentions(model)] == kept
    assert [weight.name for weight in copy.weights] == [weight.name for weight in model.weights]
    pixels = random_images(2, 25, 37)
    found, expected = copy(pixels), model(pixels)
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["logits"], expected["logits"])


def test_a_model_without_such_attention_is_taken_as_it_is():
    model = build_fake_model()
    assert with_whole_maps(model) is model


def test_an_export_never_changes_the_model_not_even_for_a_while(tmp_path):
    model, seen = build_head_model("self_attention"), []
    (attention,) = attentions(model)

    class Watched(type(attention)):
        def __setattr__(self, name, value):
            seen.append(name)
            super().__setattr__(name, value)

    attention.__class__ = Watched
    export_tflite(model, tmp_path / "a.tflite", info=fake_info(), check=False)
    assert "map_bytes" not in seen
