"""Every layer computes in the precision it was built with: saved and loaded, and under another policy."""

import numpy as np
import pytest
import tensorflow as tf

import caa
import deeplab_ksac.dropout
import deeplab_ksac.layers
from deeplab_ksac.keras2 import keras
from car import ClassAwareEndpoint
from deeplab_ksac import KSAC, KernelSharingAtrousConv
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import Bottleneck, LowLevelDecoder
from deeplab_ksac.heads.necks import JointPyramidUpsampling
from deeplab_ksac.heads.projection import LinearProjection
from tests.deeplab_ksac.heads.heads_under_test import HEADS_UNDER_TEST, random_pyramid
from tests.random_layers import randomize

GATE = {"gate_width": 3, "gate_depth": 2}
SINGLE = {  # layers of one map, [N, h, w, C] -> [N, h, w, D], with their arguments
    "AtrousConv2D": (deeplab_ksac.layers.AtrousConv2D, {"filters": 4, "kernel_size": 3, "dilation_rate": 2}),
    "AtrousDepthwiseConv2D": (deeplab_ksac.layers.AtrousDepthwiseConv2D, {"kernel_size": 3}),
    "BatchNorm": (deeplab_ksac.layers.BatchNorm(), {}),
    "ConvNormAct": (deeplab_ksac.layers.ConvNormAct, {"filters": 4}),
    "DropPath": (deeplab_ksac.dropout.DropPath, {"rate": 0.5}),
    "Dropout": (deeplab_ksac.dropout.Dropout, {"rate": 0.5}),
    "ImagePooling": (deeplab_ksac.layers.ImagePooling, {"filters": 4}),
    "SeparableConvNormAct": (deeplab_ksac.layers.SeparableConvNormAct, {"filters": 4}),
    "PyramidPooling": (deeplab_ksac.layers.PyramidPooling, {"filters": 4, "bins": (1, 2)}),
    "KernelSharingAtrousConv": (KernelSharingAtrousConv, {"filters": 4, "atrous_rates": (1, 3)}),
    "KSAC": (KSAC, {"filters": 4, "atrous_rates": (1, 3)}),
    "ASPP": (ASPP, {"filters": 4, "atrous_rates": (1, 3)}),
    "ASPP_separable": (ASPP, {"filters": 4, "atrous_rates": (1, 3), "separable": True}),
    "Bottleneck": (Bottleneck, {"filters": 4, "kernel_size": 3, "dropout": 0.5}),
    "LinearProjection": (LinearProjection, {"filters": 4}),
    "AxialAttention": (caa.AxialAttention, {"filters": 4, "key_filters": 2}),
    "AxialAttention_plain": (caa.AxialAttention, {"filters": 4, "key_filters": 2, "norm": None}),
    "AxialAttention_named_norm": (
        caa.AxialAttention,
        {"filters": 4, "key_filters": 2, "norm": lambda name: keras.layers.LayerNormalization(name=name)},
    ),
    "ChannelizedAxialAttention": (caa.ChannelizedAxialAttention, {"filters": 4, "key_filters": 2, **GATE}),
    "ChannelizedSelfAttention": (caa.ChannelizedSelfAttention, {"filters": 4, "key_filters": 2, **GATE}),
    "ChannelAttention": (caa.ChannelAttention, {"width": 3, "depth": 2}),
    "SqueezeExcite": (caa.SqueezeExcite, {"ratio": 2}),
}
OF_PYRAMIDS = {  # layers of a whole pyramid
    **{f"head_{name}": (head_class, arguments) for name, (head_class, arguments, *_) in HEADS_UNDER_TEST.items()},
    "JointPyramidUpsampling": (JointPyramidUpsampling, {"filters": 4, "atrous_rates": (1, 2)}),
    "AuxiliaryClassifier": (AuxiliaryClassifier, {"num_classes": 3, "filters": 4}),
}
OF_SEVERAL = {  # layers that take something else besides a map
    "LowLevelDecoder": (LowLevelDecoder, {"filters": 4, "low_level_filters": 2}),
    "LowLevelDecoder_separable": (LowLevelDecoder, {"filters": 4, "low_level_filters": 2, "separable": True}),
    "ResizeLike": (deeplab_ksac.layers.ResizeLike, {}),
    "ClassAwareEndpoint": (ClassAwareEndpoint, {"num_classes": 3, "moving_average": 0.9}),
}
LAYERS = {**SINGLE, **OF_PYRAMIDS, **OF_SEVERAL}
PUBLIC = {layer for layer in vars(deeplab_ksac.layers).values() if isinstance(layer, type)} | {
    layer for layer in vars(caa).values() if isinstance(layer, type)
}


def test_every_public_layer_is_here():
    ours = {layer for layer in PUBLIC if issubclass(layer, keras.layers.Layer)}
    assert ours <= {layer for layer, _ in LAYERS.values()}


def model_of(name, **own):
    """A functional model of the one layer "layer", with the same weights at every call, and its inputs."""
    make, arguments = LAYERS[name]
    pyramid = {level: tf.cast(x, tf.float32) for level, x in random_pyramid().items()}
    inputs = {level: keras.Input(x.shape[1:], name=level) for level, x in pyramid.items()}
    layer = make(**arguments, **own, name="layer")
    if name in SINGLE:
        outputs = layer(inputs["c5"])
    elif name in OF_PYRAMIDS:
        outputs = layer(inputs)
    elif name == "ResizeLike":
        outputs = layer([inputs["c5"], inputs["c2"]])
    elif name == "ClassAwareEndpoint":
        labels = keras.Input([None, None], name="labels", dtype="int32")
        outputs = layer(inputs["c5"], labels)
        inputs["labels"], pyramid["labels"] = labels, tf.zeros([2, 33, 49], tf.int32)
    else:
        outputs = layer(inputs["c5"], inputs)
    return randomize(keras.Model(inputs, outputs)), pyramid


def precisions(model):
    """Name and types of the layer and of everything inside of it, in order."""
    layer = model.get_layer("layer")
    parts = [layer, *(part for part in layer.submodules if isinstance(part, keras.layers.Layer))]
    return [(part.name, part.compute_dtype, part.variable_dtype) for part in parts]


def bits(outputs):
    """Everything that a model gives, as arrays with their types."""
    return [(value.dtype.name, np.asarray(tf.cast(value, tf.float64))) for value in tf.nest.flatten(outputs)]


def assert_same(ours, expected):
    for (kind, values), (expected_kind, expected_values) in zip(ours, expected, strict=True):
        assert kind == expected_kind
        np.testing.assert_array_equal(values, expected_values)


@pytest.fixture
def policy():
    """Sets the global policy; float32 again at the end."""
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("precision", ["mixed_float16", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_saved_layer_is_loaded_in_its_precision_under_any_policy(name, precision, policy, tmp_path):
    policy(precision)
    model, inputs = model_of(name)
    expected = bits(model(inputs))
    model.save(tmp_path / "model.keras")
    policy("float32")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert precisions(loaded) == precisions(model)
    assert_same(bits(loaded(inputs)), expected)


@pytest.mark.parametrize("precision", ["mixed_float16", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_own_precision_holds_as_a_global_one_does(name, precision, policy, tmp_path):
    policy(precision)
    model, inputs = model_of(name)
    policy("float32")
    own, _ = model_of(name, dtype=precision)
    assert precisions(own) == precisions(model)
    assert_same(bits(own(inputs)), bits(model(inputs)))
    own.save(tmp_path / "model.keras")
    policy("mixed_bfloat16")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert precisions(loaded) == precisions(model)
    assert_same(bits(loaded(inputs)), bits(model(inputs)))


@pytest.mark.parametrize("file", ["model.h5", "weights.h5", "model.weights.h5", "checkpoint"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_survives_every_kind_of_file(name, file, tmp_path):
    model, inputs = model_of(name)
    path = str(tmp_path / file)
    if file == "model.h5":
        model.save(path)
        loaded = keras.models.load_model(path)
    else:
        model.save_weights(path)
        loaded, _ = model_of(name)
        randomize(loaded, seed=1)
        loaded.load_weights(path)
    assert_same(bits(loaded(inputs)), bits(model(inputs)))


@pytest.mark.parametrize("name", LAYERS)
def test_no_two_weights_have_one_name(name):
    names = [weight.name for weight in model_of(name)[0].weights]
    assert len(names) == len(set(names))
