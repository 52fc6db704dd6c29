"""The contract that every row of BACKBONES keeps which can be made dense; the others are in test_strided.py."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.convnext import CONVNEXTS
from deeplab_ksac.backbones.efficientnet import EFFICIENTNETS
from deeplab_ksac.backbones.efficientnet_lite import EFFICIENTNET_LITES
from deeplab_ksac.backbones.hrnet import HRNETS
from deeplab_ksac.backbones.swin import SWINS
from deeplab_ksac.layers import BatchNorm
from tests.deeplab_ksac.backbones.random_weights import randomize

STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
TINY = {
    "efficientnet_b0": {
        "blocks": tuple(
            {
                "kernel_size": 5 if stage in (2, 5) else 3,
                "repeats": 2 if stage == 2 else 1,
                "filters_in": 8 if stage else 32,
                "filters_out": 8,
                "expand_ratio": 2 if stage else 1,
                "id_skip": True,
                "strides": stride,
                "se_ratio": 0.5,
            }
            for stage, stride in enumerate(STAGE_STRIDES)
        ),
        "drop_path_rate": 0.0,
    },
    "efficientnet_lite0": {"width": 0.25, "depth": 0.5, "drop_path_rate": 0.0},
    "mobilenet_v2": {"alpha": 0.35},
    "resnet50": {"blocks": (1, 2, 2, 3), "width": 4},
    "resnet101": {"blocks": (1, 1, 3, 2), "width": 4},
    "xception65": {"width": 1 / 16, "middle_blocks": 1},
}
STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
EVERY_ROW = pytest.mark.parametrize("name", sorted(TINY))


def random_image(*size, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, [*size, 3]).astype("float32")


@functools.cache
def tiny(name, output_stride=8, policy="float32"):
    keras.mixed_precision.set_global_policy(policy)
    model = BACKBONES[name](output_stride, **TINY[name])
    randomize(model)
    return model


def test_every_row_is_among_the_tried_ones_or_another_size_of_one():
    families = {"efficientnet_b0": EFFICIENTNETS, "efficientnet_lite0": EFFICIENTNET_LITES}
    assert set(BACKBONES) == {*TINY, *EFFICIENTNETS, *EFFICIENTNET_LITES, *CONVNEXTS, *HRNETS, *SWINS}
    for tried, family in families.items():
        assert {BACKBONES[name].func for name in family} == {BACKBONES[tried].func}


def with_fixed_gates(model):
    """Squeeze-and-excitation averages the map it is given, which is another one when dense; without it all is equal."""
    for layer in model.layers:
        if layer.name.endswith("se_expand"):
            layer.kernel.assign(tf.zeros_like(layer.kernel))
    return model


@EVERY_ROW
@pytest.mark.parametrize("output_stride", [8, 16])
def test_the_dense_network_contains_the_strided_one(name, output_stride):
    strided, dense = (with_fixed_gates(tiny(name, stride, "float64")) for stride in (32, output_stride))
    assert [w.name for w in dense.weights] == [w.name for w in strided.weights]
    image = random_image(1, 65, 97)
    expected, found = strided(image), dense(image)
    for stage, stride in STRIDES.items():
        step = max(1, stride // output_stride)
        scale = np.abs(expected[stage]).max()
        assert scale > 0.1
        # float64 rounds at 2e-16; no output is a sum of more than 2^12 terms
        np.testing.assert_allclose(found[stage][:, ::step, ::step], expected[stage], rtol=0, atol=1e-12 * scale)


@EVERY_ROW
@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(33, 50), (64, 71)])
def test_sizes_are_the_images_divided_by_the_stride_and_rounded_up(name, output_stride, size):
    pyramid = tiny(name, output_stride)(random_image(1, *size))
    for stage, stride in STRIDES.items():
        step = min(stride, output_stride)
        assert pyramid[stage].shape[1:3] == (-(-size[0] // step), -(-size[1] // step))


@EVERY_ROW
def test_the_input_is_an_image_of_any_size_in_float32(name):
    (image,) = tiny(name).inputs
    assert image.shape.as_list() == [None, None, None, 3] and image.dtype == tf.float32


@EVERY_ROW
@pytest.mark.parametrize("policy, dtype", [("mixed_float16", tf.float16), ("mixed_bfloat16", tf.bfloat16)])
def test_mixed_precision_computes_in_half_and_keeps_its_variables(name, policy, dtype):
    model = tiny(name, 16, policy)
    pyramid = model(random_image(1, 33, 33), training=True)
    assert {features.dtype for features in pyramid.values()} == {dtype}
    assert {weight.dtype for weight in model.weights} == {tf.float32}
    assert all(np.isfinite(tf.cast(features, tf.float32)).all() for features in pyramid.values())


@EVERY_ROW
def test_a_saved_model_gives_the_same_features(name, tmp_path):
    model, image = tiny(name), random_image(1, 33, 40)
    model.save(tmp_path / "backbone.keras")
    restored = keras.models.load_model(tmp_path / "backbone.keras")
    assert [layer.name for layer in restored.layers] == [layer.name for layer in model.layers]
    expected, found = model(image), restored(image)
    assert list(found) == list(expected)
    for stage in STRIDES:
        assert_equal_but_for_rounding(found[stage], expected[stage])


def assert_equal_but_for_rounding(found, expected):
    # float32 rounds at 1.2e-7; no output is a sum of more than 2^10 terms
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.2e-7 * 2**10 * np.abs(expected).max())


@EVERY_ROW
def test_gradients_reach_every_trainable_weight(name):
    model = tiny(name)
    with tf.GradientTape() as tape:
        pyramid = model(random_image(2, 33, 33), training=True)
        loss = tf.add_n([tf.reduce_sum(x * random_like(x)) for x in pyramid.values()])
    gradients = tape.gradient(loss, model.trainable_weights)
    unreached = [
        weight.name
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not unreached


def random_like(x):
    return np.random.default_rng(1).normal(size=x.shape).astype("float32")


@EVERY_ROW
def test_compiled_by_xla_it_gives_the_same_features(name):
    model, image = tiny(name), random_image(1, 33, 33)
    expected, found = model(image), tf.function(model, jit_compile=True)(image)
    for stage in STRIDES:
        assert_equal_but_for_rounding(found[stage], expected[stage])


@EVERY_ROW
def test_the_normalization_asked_for_reaches_every_layer(name):
    model = BACKBONES[name](16, norm=BatchNorm(momentum=0.9, synchronized=False), **TINY[name])
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) > 10
    assert {(layer.momentum, layer.synchronized) for layer in norms} == {(0.9, False)}


@EVERY_ROW
def test_another_output_stride_is_refused_with_its_value(name):
    with pytest.raises(ValueError, match="output_stride must be 8, 16 or 32, not 4"):
        BACKBONES[name](4, **TINY[name])


@EVERY_ROW
def test_layers_have_the_same_names_every_time(name):
    again = BACKBONES[name](8, **TINY[name])
    assert [layer.name for layer in again.layers] == [layer.name for layer in tiny(name).layers]


@pytest.mark.parametrize("number", (0, 1, 6, 8))
def test_efficientnet_has_seven_stages(number):
    with pytest.raises(ValueError, match=f"blocks must be 7 stages, as the paper has, not {number}"):
        BACKBONES["efficientnet_b0"](32, blocks=[{"repeats": 1}] * number)
