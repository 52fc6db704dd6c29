"""What every head has to stand, whatever it computes."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.heads import HEADS
from tests.deeplab_ksac.heads.heads_under_test import (
    CHANNELS,
    HEADS_UNDER_TEST,
    built_head,
    flat,
    pyramid_sizes,
    random_pyramid,
)
from tests.random_layers import randomize

NAMES = sorted(HEADS_UNDER_TEST)


def test_every_head_is_under_test():
    assert {head_class for head_class, *_ in HEADS_UNDER_TEST.values()} == set(HEADS.values())


SIZES = [(33, 33, 8), (32, 64, 16), (65, 33, 16), (41, 72, 32)]
ROUNDING = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}
DEPTH = 16  # convolutions and products, one after the other, in the deepest head


@functools.cache
def head_and_outputs(name):
    """A head, not to be changed, and its outputs for the random pyramid."""
    head = built_head(name)
    return head, flat(head(random_pyramid()))


@pytest.mark.parametrize("name", NAMES)
def test_features_of_every_size_known_or_not_are_what_they_promise(name):
    _, _, channels, level = HEADS_UNDER_TEST[name]
    head, _ = head_and_outputs(name)
    unknown = {stage: tf.TensorSpec([None, None, None, width]) for stage, width in CHANNELS.items()}
    traced = tf.function(lambda pyramid: head(pyramid), input_signature=[unknown])
    for size in SIZES:
        pyramid = random_pyramid(*size)
        outputs = flat(head(pyramid))
        features = [value for output, value in outputs.items() if output.startswith("features")]
        assert features
        assert all(branch.shape.as_list() == [2, *pyramid_sizes(*size)[level], channels] for branch in features)
        for output, value in flat(traced(pyramid)).items():
            assert np.isfinite(outputs[output]).all()
            np.testing.assert_allclose(value, outputs[output], atol=1e-5 * np.abs(outputs[output]).max())


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_changes_no_more_than_its_rounding(name, mixed_policy):
    half = built_head(name)
    keras.mixed_precision.set_global_policy("float32")
    _, expected = head_and_outputs(name)
    for output, value in flat(half(random_pyramid())).items():
        assert value.dtype == mixed_policy.removeprefix("mixed_")
        limit = DEPTH * ROUNDING[mixed_policy] * np.abs(expected[output]).max()
        np.testing.assert_allclose(tf.cast(value, tf.float32), expected[output], atol=limit)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_head_comes_back_the_same(name, tmp_path):
    pyramid = random_pyramid()
    inputs = {level: keras.Input(x.shape[1:], name=level) for level, x in pyramid.items()}
    head_class, arguments, *_ = HEADS_UNDER_TEST[name]
    model = randomize(keras.Model(inputs, head_class(**arguments, name="head")(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = flat(model(pyramid))
    for output, value in flat(loaded(pyramid)).items():
        np.testing.assert_array_equal(value, expected[output])
    assert loaded.get_layer("head").get_config() == model.get_layer("head").get_config()


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_every_weight(name):
    head = built_head(name)
    for weight in head.trainable_weights:
        if weight.name.endswith(("beta:0", "bias:0")):
            weight.assign(tf.fill(weight.shape, 2.0))  # no ReLU is off at every pixel
    rng = np.random.default_rng(0)
    pyramid = random_pyramid()
    with tf.GradientTape() as tape:
        outputs = flat(head(pyramid, training=True)).values()
        loss = tf.add_n([tf.reduce_sum(value * rng.normal(size=value.shape).astype("float32")) for value in outputs])
    gradients = tape.gradient(loss, head.trainable_weights)
    silent = [w.name for w, g in zip(head.trainable_weights, gradients, strict=True) if g is None or not np.any(g)]
    assert silent == []
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_compiling_changes_nothing(name):
    head, expected = head_and_outputs(name)
    for output, value in flat(tf.function(head, jit_compile=True)(random_pyramid())).items():
        np.testing.assert_allclose(value, expected[output], atol=1e-5 * np.abs(expected[output]).max())


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_not_influenced_by_the_others_of_its_batch(name):
    head, both = head_and_outputs(name)
    for output, value in flat(head({level: x[1:] for level, x in random_pyramid().items()})).items():
        np.testing.assert_allclose(value, both[output][1:], atol=1e-5 * np.abs(both[output]).max())


@pytest.mark.parametrize("name", NAMES)
def test_no_head_sees_a_label_and_each_says_what_follows_it(name):
    head_class = HEADS_UNDER_TEST[name][0]
    assert list(inspect.signature(head_class.call).parameters) == ["self", "pyramid", "training"]
    assert head_class.bottleneck is None or set(head_class.bottleneck) == {"filters", "kernel_size"}
    assert inspect.signature(head_class).parameters["norm"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("axial", {"filters": 0}, "filters must be an integer of at least 1, not 0"),
        ("axial_squeeze_excite", {"ratio": 0}, "ratio must be .* not 0"),
        ("caa", {"gate_width": 0}, "gate_width must be .* not 0"),
        ("caa", {"groups": -1}, "groups must be .* not -1"),
        ("channelized_self_attention", {"gate_depth": -2}, "gate_depth must be .* not -2"),
        ("self_attention", {"key_filters": 0}, "key_filters must be .* not 0"),
        ("self_attention", {"map_bytes": 0}, "map_bytes must be .* not 0"),
        ("ccnet", {"recurrence": 0}, "recurrence must be .* not 0"),
        ("danet", {"num_classes": 0}, "num_classes must be .* not 0"),
        ("cpnet", {"prior_size": (0, 5)}, r"prior_size must be .* not \(0, 5\)"),
        ("cpnet", {"kernel_size": 0}, "kernel_size must be .* not 0"),
        ("ocr", {"num_classes": -1}, "num_classes must be .* not -1"),
        ("ocr", {"levels": ()}, r"levels and coarse_levels must name stages, not \(\)"),
        ("upernet", {"context_kernel_size": 0}, "context_kernel_size must be .* not 0"),
        ("upernet", {"bins": ()}, r"bins must be .* not \(\)"),
        ("pspnet", {"bins": (1, 0)}, r"bins must be .* not \(1, 0\)"),
    ],
)
def test_wrong_arguments_are_refused_with_their_value(name, arguments, message):
    head_class, defaults, *_ = HEADS_UNDER_TEST[name]
    with pytest.raises(ValueError, match=message):
        head_class(**{**defaults, **arguments})
