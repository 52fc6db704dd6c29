"""The output-stride rewrite, on small networks that hold every construction of keras.applications."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import with_output_stride
from deeplab_ksac.layers import AtrousConv2D, BatchNorm
from tests.deeplab_ksac.backbones.random_weights import randomize

layers = keras.layers


def network(*stages, squeeze=False):
    """A strided network: a stem to stride 4, then one stage after the other, each with a convolution behind it."""
    x = image = keras.Input([None, None, 3])
    for number, stage in enumerate([strided_same, strided_same, *stages], start=1):
        x = stage(x, f"s{number}")
        x = layers.Conv2D(3 + number, 3, padding="same", name=f"s{number}_conv")(x)
        x = layers.ReLU(name=f"s{number}_relu")(layers.BatchNormalization(epsilon=0.01, name=f"s{number}_bn")(x))
    if squeeze:
        gate = layers.Reshape([1, 1, x.shape[-1]])(layers.GlobalAveragePooling2D()(x))
        gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name="gate")(gate)
        x = layers.Multiply(name="gated")([x, gate])
    return keras.Model(image, x, name="network")


def strided_same(x, name):
    return layers.Conv2D(6, 3, 2, "same", name=f"{name}_down")(x)


def padded_for_even_sizes(x, name):
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return layers.DepthwiseConv2D(3, 2, name=f"{name}_down")(x)


def padded_symmetrically(x, name):
    return layers.Conv2D(6, 5, 2, name=f"{name}_down")(layers.ZeroPadding2D(2, name=f"{name}_pad")(x))


def padded_without_stride(x, name):
    x = layers.Conv2D(6, 1, 2, name=f"{name}_down")(x)
    return layers.Conv2D(6, 3, name=f"{name}_inner")(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))


def averaged(x, name):
    return layers.AveragePooling2D(2, 2, name=f"{name}_down")(x)


def maximal_beside_a_shortcut(x, name):
    y = layers.SeparableConv2D(6, 3, padding="same", name=f"{name}_separable")(x)
    y = layers.MaxPooling2D(3, 2, "same", name=f"{name}_down")(y)
    return layers.Add(name=f"{name}_add")([y, layers.Conv2D(6, 1, 2, name=f"{name}_shortcut")(x)])


def subsampled(x, name):
    return layers.MaxPooling2D(1, 2, name=f"{name}_down")(x)


STAGES = [
    strided_same,
    padded_for_even_sizes,
    padded_symmetrically,
    padded_without_stride,
    averaged,
    maximal_beside_a_shortcut,
    subsampled,
]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_the_dense_network_contains_the_strided_one(stage, output_stride):
    keras.mixed_precision.set_global_policy("float64")
    model = network(stage, stage, stage)
    randomize(model)
    image = np.random.default_rng(0).normal(size=[1, 97, 65, 3]).astype("float32")
    expected, found = with_output_stride(model, 32)(image), with_output_stride(model, output_stride)(image)
    for name, stride in {"c2": 4, "c3": 8, "c4": 16, "c5": 32}.items():
        step = max(1, stride // output_stride)
        assert found[name].shape[1:3] == (96 // min(stride, output_stride) + 1, 64 // min(stride, output_stride) + 1)
        assert np.abs(expected[name]).max() > 0.1
        # float64 rounds at 2e-16; no output is a sum of more than 2^12 terms
        np.testing.assert_allclose(
            found[name][:, ::step, ::step], expected[name], rtol=0, atol=1e-12 * np.abs(expected[name]).max()
        )


@pytest.mark.parametrize("stage", [strided_same, padded_for_even_sizes, padded_symmetrically, padded_without_stride])
@pytest.mark.parametrize("size", [(50, 64), (65, 47)])
def test_centered_it_contains_the_strided_network_at_every_size(stage, size):
    keras.mixed_precision.set_global_policy("float64")
    model = network(stage, stage, stage)
    randomize(model)
    image = np.random.default_rng(0).normal(size=[1, *size, 3]).astype("float32")
    expected, found = (with_output_stride(model, stride, padding="centered")(image)["c5"] for stride in (32, 8))
    # float64 rounds at 2e-16; no output is a sum of more than 2^12 terms
    np.testing.assert_allclose(found[:, ::4, ::4], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_strided_separable_convolution_is_not_centered():
    def separable(x, name):
        return layers.SeparableConv2D(6, 3, 2, "same", name=f"{name}_down")(x)

    with pytest.raises(ValueError, match=r"layer s3_down \(SeparableConv2D\) can't be centered"):
        with_output_stride(network(separable, separable, separable), 16, padding="centered")


def test_layers_can_be_replaced_by_name():
    half = layers.Rescaling(0.5, name="half")
    model = network(strided_same, strided_same, strided_same)
    randomize(model)
    dense = with_output_stride(model, 32, replacements={"s5_relu": half})
    image = np.random.default_rng(0).normal(size=[1, 64, 64, 3]).astype("float32")
    before = keras.Model(model.input, model.get_layer("s5_bn").output)(image)
    np.testing.assert_allclose(dense(image)["c5"], before / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_at_output_stride_32_and_even_sizes_it_is_the_network_itself(stage):
    model = network(stage, stage, stage)
    randomize(model)
    image = np.random.default_rng(0).normal(size=[1, 64, 96, 3]).astype("float32")
    np.testing.assert_allclose(with_output_stride(model, 32)(image)["c5"], model(image), rtol=1e-5, atol=1e-5)


def test_layers_and_weights_keep_their_names_order_and_values():
    model = network(padded_for_even_sizes, maximal_beside_a_shortcut, padded_symmetrically, squeeze=True)
    randomize(model)
    dense = with_output_stride(model, 8)
    assert [w.name for w in dense.weights] == [w.name for w in model.weights]
    assert [x.name for x in dense.layers][1:] == [x.name for x in model.layers][1:]
    for ours, theirs in zip(dense.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_model_given_is_left_as_it_is():
    model = network(strided_same, strided_same, strided_same)
    before = model.get_config()
    with_output_stride(model, 8)
    assert model.get_config() == before


def test_an_unpadded_kernel_gets_sizes_rounded_up():
    def unpadded(x, name):
        return layers.Conv2D(6, 3, 2, name=f"{name}_down")(x)

    pyramid = with_output_stride(network(unpadded, unpadded, unpadded), 16)(np.zeros([1, 70, 65, 3], "float32"))
    assert [x.shape[1:3] for x in pyramid.values()] == [(18, 17), (9, 9), (5, 5), (5, 5)]


def test_squeeze_and_excitation_gates_the_dense_map():
    pyramid = with_output_stride(network(averaged, averaged, averaged, squeeze=True), 8)(np.ones([1, 33, 33, 3]))
    assert pyramid["c5"].shape[1:3] == (5, 5)


def test_convolutions_become_native_atrous_ones():
    dense = with_output_stride(network(strided_same, strided_same, strided_same), 8)
    rates = {layer.name: layer.dilation_rate[0] for layer in dense.layers if isinstance(layer, AtrousConv2D)}
    assert [rates[f"s{number}_down"] for number in range(1, 6)] == [1, 1, 1, 1, 2]
    assert [rates[f"s{number}_conv"] for number in range(1, 6)] == [1, 1, 1, 2, 4]


def test_normalization_is_the_one_asked_for_with_the_networks_epsilon():
    dense = with_output_stride(network(averaged, averaged, averaged), 8, norm=BatchNorm(momentum=0.5, epsilon=0.3))
    norm = dense.get_layer("s3_bn")
    assert (norm.momentum, norm.epsilon, norm.synchronized) == (0.5, 0.01, True)


def test_endpoints_are_the_widest_tensors_entering_the_strides():
    model = network(maximal_beside_a_shortcut, padded_for_even_sizes, strided_same)
    assert {s: x.shape[-1] for s, x in with_output_stride(model, 32).output.items()} == {
        "c2": 6,  # the separable convolution's, wider than the shortcut's five
        "c3": 6,
        "c4": 7,
        "c5": 8,
    }


def test_endpoints_can_be_named():
    dense = with_output_stride(network(averaged, averaged, averaged), 16, endpoints={"c5": "s5_conv", "c2": "s2_bn"})
    image = np.ones([1, 33, 33, 3], "float32")
    inner = keras.Model(dense.input, dense.get_layer("s5_conv").output)
    np.testing.assert_array_equal(dense(image)["c5"], inner(image))
    assert "s5_bn" not in [layer.name for layer in dense.layers]


def nested():
    inner = keras.Sequential([keras.Input([None, None, 3]), layers.Conv2D(4, 4, 4)], name="stem")
    image = keras.Input([None, None, 3])
    return keras.Model(image, inner(image), name="network")


def of_two_strides():
    image = keras.Input([None, None, 3])
    x = layers.Conv2D(4, 3, 2, "same")(image)
    x = layers.Add(name="sum")([x, layers.Conv2D(4, 3, 4, "same")(image)])
    return keras.Model(image, x, name="network")


def called_twice():
    image, conv = keras.Input([None, None, 3]), layers.Conv2D(3, 3, padding="same", name="twice")
    return keras.Model(image, conv(conv(image)), name="network")


def upsampled():
    image = keras.Input([None, None, 3])
    return keras.Model(image, layers.Conv2DTranspose(3, 3, 2, name="up")(image), name="network")


def leaping():
    image = keras.Input([None, None, 3])
    x = layers.Conv2D(4, 3, 2, "same", name="first")(image)
    return keras.Model(image, layers.Conv2D(4, 3, 8, "same", name="leap")(x), name="network")


@pytest.mark.parametrize(
    "make, message",
    [
        (nested, r"network: layer stem \(Sequential\) can't be rewritten"),
        (of_two_strides, "layer sum joins feature maps of different strides"),
        (called_twice, r"layer twice \(called more than once\)"),
        (upsampled, r"layer up \(Conv2DTranspose\)"),
        (leaping, "layer leap strides from 2 beyond output stride 8"),
        (lambda: network(strided_same), "has no stride after 8: name c3's layer in endpoints"),
    ],
)
def test_networks_that_cannot_be_rewritten_are_refused_by_layer(make, message):
    with pytest.raises(ValueError, match=message):
        with_output_stride(make(), 8)


@pytest.mark.parametrize(
    "endpoints, message",
    [
        ({"c6": "s5_conv"}, "endpoints are c2, c3, c4, c5, not c6"),
        ({"c5": "s5_convv"}, "endpoint c5: network has no layer 's5_convv'; similar ones: s5_conv"),
        ({"c5": "s4_conv"}, "endpoint c5: layer 's4_conv' has stride 16, not 32"),
    ],
)
def test_wrong_endpoints_are_refused_in_words(endpoints, message):
    with pytest.raises(ValueError, match=message):
        with_output_stride(network(averaged, averaged, averaged), 16, endpoints=endpoints)
