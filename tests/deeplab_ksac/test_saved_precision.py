"""Every layer computes in the precision it was built with: saved and loaded, and under another policy."""

import numpy as np
import pytest
import tensorflow as tf

import caa
import car
import deeplab_ksac.aspp
import deeplab_ksac.dropout
import deeplab_ksac.ksac
import deeplab_ksac.layers
from deeplab_ksac.keras2 import keras
from deeplab_ksac import KSAC, KernelSharingAtrousConv
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import DECODERS, Bottleneck, LowLevelDecoder
from deeplab_ksac.heads.necks import NECKS, JointPyramidUpsampling
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
    "KSAC_separable": (KSAC, {"filters": 4, "atrous_rates": (1, 3), "separable": True}),
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
    "ClassAwareEndpoint": (car.ClassAwareEndpoint, {"num_classes": 3, "moving_average": 0.9}),
    "ClassAwareRegularizer": (car.ClassAwareRegularizer, {"num_classes": 3}),
}
LAYERS = {**SINGLE, **OF_PYRAMIDS, **OF_SEVERAL}
PACKAGES = (deeplab_ksac.layers, caa, car, deeplab_ksac.ksac, deeplab_ksac.aspp)
PUBLIC = {layer for package in PACKAGES for layer in vars(package).values() if isinstance(layer, type)}
PUBLIC |= {*HEADS.values(), *NECKS.values(), *DECODERS.values()}


def test_every_public_layer_is_here():
    ours = {layer for layer in PUBLIC if issubclass(layer, keras.layers.Layer)}
    assert ours <= {layer for layer, _ in LAYERS.values()}


def model_of(name, **own):
    """A functional model of the one layer "layer", with the same weights at every call, and its inputs."""
    inputs, values = inputs_of()
    return randomize(keras.Model(inputs, applied(name, inputs, "layer", **own))), values


def model_of_all(**own):
    """A functional model of all layers, each by its name here, and its inputs."""
    inputs, values = inputs_of()
    return randomize(keras.Model(inputs, {name: applied(name, inputs, name, **own) for name in LAYERS})), values


def inputs_of():
    """(symbolic inputs, values for them) of all layers."""
    pyramid = {level: tf.cast(x, tf.float32) for level, x in random_pyramid().items()}
    inputs = {level: keras.Input(x.shape[1:], name=level) for level, x in pyramid.items()}
    labels = keras.Input([None, None], name="labels", dtype="int32")
    return {**inputs, "labels": labels}, {**pyramid, "labels": tf.zeros([2, 33, 49], tf.int32)}


def applied(name, inputs, called, **own):
    """What the layer, made under the name `called`, gives."""
    make, arguments = LAYERS[name]
    layer, pyramid = make(**arguments, **own, name=called), {level: inputs[level] for level in ("c2", "c3", "c4", "c5")}
    if name in SINGLE:
        return layer(inputs["c5"])
    if name in OF_PYRAMIDS:
        return layer(pyramid)
    if name == "ResizeLike":
        return layer([inputs["c5"], inputs["c2"]])
    if name.startswith("ClassAware"):
        return layer(inputs["c5"], inputs["labels"])
    return layer(inputs["c5"], pyramid)


def precisions(model):
    """Name and types of the layers and of everything inside of them, in order."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    parts = [
        part
        for layer in layers
        for part in (layer, *(part for part in layer.submodules if isinstance(part, keras.layers.Layer)))
    ]
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


@pytest.mark.parametrize(
    ("file", "precision"), (("model.h5", "mixed_float16"), ("model.weights.h5", "mixed_float16"), ("model.h5", "own"))
)
def test_all_layers_survive_in_half_precision_and_in_one_of_their_own(file, precision, policy, tmp_path):
    """Together in one model, since each would take as long alone."""
    own = {"dtype": "mixed_float16"} if precision == "own" else {}
    policy("float32" if own else precision)
    model, inputs = model_of_all(**own)
    path = str(tmp_path / file)
    if file == "model.h5":
        model.save(path)
        policy("float32")
        loaded = keras.models.load_model(path)
    else:
        model.save_weights(path)
        loaded, _ = model_of_all(**own)
        randomize(loaded, seed=1)
        loaded.load_weights(path)
    assert precisions(loaded) == precisions(model)
    given, expected = loaded(inputs), model(inputs)
    for name in LAYERS:
        assert_same(bits(given[name]), bits(expected[name]))


@pytest.mark.parametrize("name", LAYERS)
def test_no_two_weights_have_one_name(name):
    names = [weight.name for weight in model_of(name)[0].weights]
    assert len(names) == len(set(names))
