"""The channelized attentions: their equations, Algorithm 2, and everything a layer has to stand."""

import numpy as np
import pytest
import tensorflow as tf

from caa import ChannelAttention, ChannelizedAxialAttention, ChannelizedSelfAttention
from caa.axial import attend_columns, attend_rows
from caa.factored import channelize_pixels
from deeplab_ksac.any_keras import keras
from tests.literal import caa as literal
from tests.random_layers import layers_inside, randomize, weights_of

LAYERS = [ChannelizedAxialAttention, ChannelizedSelfAttention]
SIZES = [(1, 1), (4, 4), (5, 3), (2, 7)]


def built(layer_class, image, **arguments):
    """A layer of 5 filters with random weights that are the same for the same class."""
    layer = layer_class(5, 3, gate_width=4, gate_depth=2, **arguments)
    layer(image)
    return randomize(layer)


def random_image(size, channels=6, seed=0):
    return np.random.default_rng(seed).normal(size=[2, *size, channels])


def literally(layer, features):
    """The literal twin with the layer's weights, on one image."""

    def transform(name):
        kernel, bias = weights_of(layer, name)
        return features @ kernel[0, 0] + bias

    if isinstance(layer, ChannelizedSelfAttention):
        return literal.channelized_self_attention(
            transform("theta"), transform("value"), weights_of(layer, "gate"), layer.gate.negative_slope
        )
    gates = [weights_of(layer, name) for name in ("column_gate", "row_gate")]
    slope = layer.row_gate.negative_slope
    return literal.channelized_axial_attention(transform("theta"), transform("phi"), transform("value"), *gates, slope)


def gradients(layer, image, training=False):
    """The result for `image`, and the gradients of a random linear function of it, by image and weights."""
    image = tf.convert_to_tensor(image)
    with tf.GradientTape() as tape:
        tape.watch(image)
        result = layer(image, training=training)
        total = tf.reduce_sum(result * np.random.default_rng(1).normal(size=result.shape).astype(result.dtype.name))
    return [result, *tape.gradient(total, [image, *layer.trainable_weights])]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layer_class", LAYERS)
def test_channelized_attention_is_equations_3_6_to_3_11(layer_class, size):
    image = random_image(size)
    layer = built(layer_class, image, norm=None)
    for features, result in zip(image, layer(image), strict=True):
        np.testing.assert_allclose(result, literally(layer, features), atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("layer_class", LAYERS)
def test_gradients_are_the_slopes_of_the_literal_twin(layer_class):
    image = random_image((3, 4))
    layer = built(layer_class, image, norm=None)
    cotangent = np.random.default_rng(1).normal(size=[2, 3, 4, 5])
    _, *found = gradients(layer, image)
    places = [image, *layer.get_weights()]
    for index in range(len(places)):
        direction = np.random.default_rng(index).normal(size=places[index].shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = [place + step * direction if k == index else place for k, place in enumerate(places)]
            layer.set_weights(moved[1:])
            values.append(sum(np.sum(c * literally(layer, x)) for c, x in zip(cotangent, moved[0], strict=True)))
        layer.set_weights(places[1:])
        # A central difference errs by step² · third derivative, and by rounding / step: 1e-10 both.
        np.testing.assert_allclose((values[0] - values[1]) / 2e-5, np.sum(direction * found[index]), atol=1e-8)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (8, 4)])
@pytest.mark.parametrize("layer_class", LAYERS)
def test_algorithm_2_equals_the_factored_form_in_outputs_and_gradients(layer_class, size, training):
    image = random_image(size)
    factored = gradients(built(layer_class, image), image, training)
    for groups in (1, 3, 4, 7, 16):  # of equal parts and not, as many as a side has pixels, and more
        grouped = gradients(built(layer_class, image, groups=groups), image, training)
        for one, other in zip(factored, grouped, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12, err_msg=f"{groups} groups")


@pytest.mark.parametrize("groups", [None, 3])
@pytest.mark.parametrize("layer_class", LAYERS)
def test_unknown_sizes_give_what_known_sizes_give(layer_class, groups):
    image = random_image((5, 3)).astype("float32")
    layer = built(layer_class, image, groups=groups)
    dynamic = tf.function(layer.call, input_signature=[tf.TensorSpec([None, None, None, 6])])
    assert dynamic.get_concrete_function().output_shapes.as_list() == [None, None, None, 5]
    for size in SIZES:
        image = random_image(size).astype("float32")
        np.testing.assert_allclose(dynamic(image), layer(image), atol=1e-6)


@pytest.mark.parametrize("groups", [None, 3])
@pytest.mark.parametrize("layer_class", LAYERS)
def test_compiling_changes_nothing(layer_class, groups):
    image = random_image((5, 3)).astype("float32")
    layer = built(layer_class, image, groups=groups)
    expected = gradients(layer, image)
    compiled = tf.function(lambda x: gradients(layer, x), jit_compile=True)(tf.constant(image))
    for one, other in zip(expected, compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("groups", [None, 2])
@pytest.mark.parametrize("layer_class", LAYERS)
def test_a_saved_layer_comes_back_with_its_norm_and_arguments(layer_class, groups, tmp_path):
    image = random_image((4, 3)).astype("float32")
    layer = layer_class(
        5,
        3,
        gate_width=4,
        gate_depth=1,
        negative_slope=0.1,
        groups=groups,
        norm=lambda name: keras.layers.BatchNormalization(momentum=0.5, name=name),
    )
    inputs = keras.Input([None, None, 6])
    model = keras.Model(inputs, layer(inputs))
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(image), model(image))
    config = loaded.layers[-1].get_config()
    assert config == layer.get_config()
    assert (config["negative_slope"], config["groups"]) == (0.1, groups)
    assert config["norm"]["config"]["momentum"] == 0.5


@pytest.mark.parametrize("layer_class", LAYERS)
def test_mixed_precision_keeps_the_gate_in_float32(layer_class, mixed_policy):
    image = random_image((5, 3))
    layer = built(layer_class, image)
    seen = []
    for gate in (part for part in layers_inside(layer) if isinstance(part, ChannelAttention)):
        gate.call = lambda mean, call=gate.call: seen.append((mean.dtype, call(mean).dtype)) or call(mean)
    result = layer(image)
    assert result.dtype == mixed_policy.removeprefix("mixed_")
    assert set(seen) == {(tf.float32, tf.float32)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gates_are_what_the_result_is_weighed_with(dtype):
    image = random_image((4, 3)).astype(dtype)
    layer = built(ChannelizedAxialAttention, image, dtype=dtype)
    gates = layer.gates(image)
    theta, phi, value = layer.theta(image), layer.phi(image), layer.value(image)
    columns = attend_columns(theta, value) * tf.cast(gates["row_gates"], dtype)[:, :, tf.newaxis]
    result = attend_rows(phi, columns) * tf.cast(gates["column_gates"], dtype)[:, tf.newaxis]
    np.testing.assert_allclose(layer(image), result, rtol=0, atol={"float32": 1e-5, "float64": 1e-13}[dtype])


def test_the_gate_of_a_large_half_precision_map_does_not_vanish():
    # 1e-3 / 33,153 positions is below float16's smallest number; its gate with weights of 1e7 is not σ(0).
    attended = tf.fill([1, 3, 2], tf.constant(1e-3, tf.float16))
    gated = channelize_pixels(attended, 33153, lambda mean: tf.sigmoid(1e7 * mean))
    assert gated.dtype == tf.float16
    np.testing.assert_allclose(gated / attended, np.full([1, 3, 2], 1 / (1 + np.exp(-1e4 / 33153))), rtol=2**-9)


def test_the_gate_has_its_hidden_layers_and_no_bias():
    gate = ChannelAttention(128, 5)
    gate.build([None, 512])
    assert [list(w.shape) for w in gate.weights] == [[512, 128], *[[128, 128]] * 4, [128, 512]]


def test_depth_one_and_slope_zero_is_the_gate_of_equation_3_9():
    mean = np.random.default_rng(0).normal(size=[7, 6]).astype("float32")
    gate = ChannelAttention(3, 1, negative_slope=0.0)
    gate.build([None, 6])
    first, second = (weight.numpy() for weight in randomize(gate).weights)
    np.testing.assert_allclose(gate(mean), 1 / (1 + np.exp(-(np.maximum(mean @ first, 0) @ second))), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gate_width": 0}, "gate_width must be an integer of at least 1, not 0"),
        ({"gate_depth": 0}, "gate_depth must be an integer of at least 1, not 0"),
        ({"negative_slope": -0.2}, r"negative_slope must lie in \[0, 1\), not -0.2"),
        ({"groups": -1}, r"groups must be None \(factored\) or an integer of at least 1, not -1"),
        ({"groups": 0}, "groups must be .* not 0"),
        ({"key_filters": 0}, "key_filters must be .* not 0"),
    ],
)
@pytest.mark.parametrize("layer_class", LAYERS)
def test_wrong_arguments_are_refused_with_their_value(layer_class, arguments, message):
    with pytest.raises(ValueError, match=message):
        layer_class(8, **arguments)


def test_the_gate_alone_refuses_what_it_cannot_be_built_from():
    with pytest.raises(ValueError, match="width must be an integer of at least 1, not -3"):
        ChannelAttention(-3)
    with pytest.raises(ValueError, match="depth must be an integer of at least 1, not 0"):
        ChannelAttention(depth=0)
