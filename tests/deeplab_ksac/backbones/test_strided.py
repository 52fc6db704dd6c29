"""The contract of the backbones that cannot be dilated, and their agreement with timm's networks."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.contract import STAGE_STRIDES
from deeplab_ksac.backbones.convnext import ConvNeXtBlock
from deeplab_ksac.backbones.hrnet import RepeatPixels
from deeplab_ksac.backbones.window_attention import PatchMerging, SwinBlock
from tests.deeplab_ksac.backbones.strided_models import (
    CHANNELS,
    MEAN,
    MODULES,
    STAGES,
    build,
    colors,
    largest_error,
    load,
    reference,
    tiny,
    write_weights,
)

EVERY_FAMILY = pytest.mark.parametrize("family", sorted(MODULES))


@functools.cache
def cut_at_the_edge():
    """The ConvNeXt that leaves out an image's last pixels, as timm's does."""
    model = build("convnext", edge="cut")
    model.set_weights(tiny("convnext").get_weights())
    return model


@EVERY_FAMILY
def test_timms_weights_give_timms_features(family):
    model = cut_at_the_edge() if family == "convnext" else tiny(family)
    found = model(colors(*reference(family)["size"]))
    # float32 rounds at 1.2e-7; some 10 layers of sums of up to 2^8 terms follow each other
    assert largest_error(found, {stage: reference(family)[stage] for stage in STAGES}) < 1e-5


@EVERY_FAMILY
def test_the_references_are_what_timm_gives(family):
    pytest.importorskip("timm")
    from tests.deeplab_ksac.backbones.references import make_tiny

    made = make_tiny.tiny_reference(*make_tiny.REFERENCES[family])
    assert largest_error(made, {stage: reference(family)[stage] for stage in STAGES}) < 1e-5


@EVERY_FAMILY
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"more.weight": np.zeros(3, "float32")}, "unused: more.weight"),
        ({"%first": None}, "missing: %first"),
        ({"%first": np.zeros([4, 3, 5, 5], "float32")}, r"misshapen: %first \[4, 3, 5, 5\]"),
    ],
)
def test_every_tensor_is_accounted_for(family, changes, message, tmp_path):
    first = next(iter(reference(family)["shapes"]))
    changes = {name.replace("%first", first): value for name, value in changes.items()}
    path = write_weights(family, tmp_path / "w.safetensors", **changes)
    with pytest.raises(ValueError, match=message.replace("%first", first)):
        load(tiny(family), family, path)


@EVERY_FAMILY
def test_weights_of_gray_images_are_refused_in_words(family, tmp_path):
    first, shape = next(iter(reference(family)["shapes"].items()))
    gray = {first: np.zeros([shape[0], 1, *shape[2:]], "float32")}
    path = write_weights(family, tmp_path / "w.safetensors", **gray)
    with pytest.raises(ValueError, match=r"trained on images of 1 channel\(s\); \w+ takes images of 3"):
        load(tiny(family), family, path)


@EVERY_FAMILY
@pytest.mark.parametrize("size", [(33, 50), (64, 3), (1, 71)])
def test_sizes_are_the_images_divided_by_the_stride_and_rounded_up(family, size):
    pyramid = tiny(family)(np.concatenate([colors(*size)] * 2))
    shapes = {
        stage: (2, -(-size[0] // stride), -(-size[1] // stride), channels)
        for (stage, stride), channels in zip(STAGE_STRIDES.items(), CHANNELS[family], strict=True)
    }
    assert {stage: tuple(features.shape) for stage, features in pyramid.items()} == shapes
    assert all(np.isfinite(features).all() for features in pyramid.values())


@EVERY_FAMILY
def test_an_images_features_do_not_depend_on_the_others_in_its_batch(family):
    images = np.concatenate([colors(33, 40), colors(33, 40, seed=41)])
    together, alone = tiny(family)(images), tiny(family)(images[1:])
    assert largest_error({stage: features[1:] for stage, features in together.items()}, alone) < 1e-5


@EVERY_FAMILY
def test_the_input_is_an_image_of_any_size_in_float32(family):
    (image,) = tiny(family).inputs
    assert image.shape.as_list() == [None, None, None, 3] and image.dtype == tf.float32


@EVERY_FAMILY
def test_known_sizes_stay_known(family):
    function = tf.function(tiny(family)).get_concrete_function(tf.TensorSpec([1, 65, 40, 3]))
    assert function.structured_outputs["c4"].shape == [1, 5, 3, CHANNELS[family][2]]


@EVERY_FAMILY
def test_mixed_precision_computes_in_half_and_keeps_its_variables(family):
    model = build(family, "mixed_float16")
    model.set_weights(tiny(family).get_weights())
    pyramid = model(colors(33, 40), training=True)
    assert {features.dtype for features in pyramid.values()} == {tf.float16}
    assert {weight.dtype for weight in model.weights} == {tf.float32}
    assert all(np.isfinite(features).all() for features in pyramid.values())


@EVERY_FAMILY
def test_a_saved_model_gives_the_same_features(family, tmp_path):
    model, image = tiny(family), colors(33, 40)
    model.save(tmp_path / "backbone.keras")
    restored = keras.models.load_model(tmp_path / "backbone.keras")
    assert [layer.name for layer in restored.layers] == [layer.name for layer in model.layers]
    assert largest_error(restored(image), model(image)) < 1e-6


@EVERY_FAMILY
def test_gradients_reach_every_trainable_weight(family):
    weights = tiny(family).trainable_weights
    with tf.GradientTape() as tape:
        pyramid = tiny(family)(colors(33, 40))
        loss = tf.add_n([weighted_sum(features) for features in pyramid.values()])
    gradients = tape.gradient(loss, weights)
    assert not [
        w.name for w, gradient in zip(weights, gradients, strict=True) if gradient is None or not np.any(gradient)
    ]


def weighted_sum(features):
    """A sum that tells one channel from another: equal weights would cancel behind a normalization."""
    return tf.reduce_sum(features * tf.cos(tf.range(features.shape[-1], dtype=features.dtype)))


@pytest.mark.parametrize(
    "layer, shapes",
    [
        (SwinBlock(2, 3, shift=1), [[2, 5, 7, 4]]),
        (PatchMerging(), [[2, 5, 7, 4]]),
        (ConvNeXtBlock(scale=1.0), [[2, 5, 7, 4]]),
        (RepeatPixels(4), [[2, 2, 3, 4], [2, 5, 9, 1]]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_compiled_by_xla_a_layer_gives_the_same_features_and_gradients(layer, shapes):
    maps = [tf.constant(np.random.default_rng(i).normal(size=shape), tf.float32) for i, shape in enumerate(shapes)]
    layer(maps if len(maps) > 1 else maps[0])

    def features_and_gradients(*maps):
        features = layer(list(maps) if len(maps) > 1 else maps[0])
        return [features, *tf.gradients(weighted_sum(features), [maps[0], *layer.trainable_weights])]

    plain, compiled = (tf.function(features_and_gradients, jit_compile=jit)(*maps) for jit in (False, True))
    # sums over 70 pixels of float32, which rounds at 1.2e-7
    assert largest_error(dict(enumerate(compiled)), dict(enumerate(plain))) < 1e-4


@EVERY_FAMILY
@pytest.mark.parametrize("output_stride", [8, 16])
def test_another_output_stride_is_refused_with_the_way_out(family, output_stride):
    message = f"{family} cannot be dilated: its output_stride must be 32, not {output_stride}; the neck joint_pyramid"
    with pytest.raises(ValueError, match=message):
        build(family, output_stride=output_stride)


@EVERY_FAMILY
def test_an_unknown_preprocessing_is_refused(family):
    with pytest.raises(ValueError, match="preprocessing must be one of"):
        build(family, preprocessing="torc")


def test_a_cut_edge_leaves_out_the_last_pixels():
    image = colors(66, 35)
    assert largest_error(cut_at_the_edge()(image), tiny("convnext")(image[:, :64, :32])) < 1e-6


@pytest.mark.parametrize("family", ["convnext", "swin"])
def test_a_padded_edge_is_completed_by_the_mean_color(family):
    image, mean = colors(61, 31), (MEAN * 255).astype("float32")
    completed = np.broadcast_to(mean, [1, 64, 32, 3]).copy()
    completed[:, :61, :31] = image
    assert largest_error(tiny(family)(image), tiny(family)(completed)) < 1e-5
