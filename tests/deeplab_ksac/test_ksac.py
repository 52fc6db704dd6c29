"""KSAC against Algorithm 1, and its exact form against the direct one."""

import doctest

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac import KSAC, KernelSharingAtrousConv, shared_products
from deeplab_ksac.any_keras import keras
from deeplab_ksac.ksac import direct_atrous_products
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.shared_products import shared_atrous_products
from tests.literal.ksac import atrous_convolution, kernel_sharing_atrous_convolution, separable_kernel

SIZES = ((9, 9), (8, 11), (3, 5), (1, 7))
RATES = ((1, 2, 3), (6, 12, 18), (12, 3), (5, 5), (30,))


def random(shape, seed=0, dtype="float64"):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def outputs_and_gradients(products, features, kernel, rates):
    with tf.GradientTape() as tape:
        tape.watch([features, kernel])
        branches = products(features, kernel, rates)
        judged = tf.add_n([tf.reduce_sum(tf.sin(branch) * (r + 1)) for r, branch in enumerate(branches)])
    return [*branches, *tape.gradient(judged, [features, kernel])]


def randomized(layer, seed=1):
    """Gives a built layer weights and statistics away from their initial ones."""
    rng = np.random.default_rng(seed)
    layer.set_weights([0.5 + np.abs(rng.normal(size=w.shape)) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rates", RATES)
def test_the_shared_product_is_algorithm_1_line_4_at_every_rate(size, rates):
    features, kernel = random((2, *size, 3)), random((3, 3, 3, 4), seed=1)
    for branch, rate in zip(shared_atrous_products(features, kernel, rates), rates, strict=True):
        np.testing.assert_allclose(branch, atrous_convolution(features.numpy(), kernel.numpy(), rate), atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rates", RATES)
def test_both_methods_have_the_same_outputs_and_gradients(size, rates):
    features, kernel = random((2, *size, 3)), random((3, 3, 3, 4), seed=1)
    shared = outputs_and_gradients(shared_atrous_products, features, kernel, rates)
    direct = outputs_and_gradients(direct_atrous_products, features, kernel, rates)
    for ours, expected in zip(shared, direct, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-11)


@pytest.mark.parametrize("compiled", ("dynamic", "xla"))
def test_the_shared_product_holds_at_sizes_known_only_at_run_time_and_under_xla(compiled):
    signature = [tf.TensorSpec([None, None, None, 3], tf.float64), tf.TensorSpec([3, 3, 3, 4], tf.float64)]
    options = {"input_signature": signature} if compiled == "dynamic" else {"jit_compile": True}
    rates = (2, 6, 12)
    function = tf.function(lambda x, k: outputs_and_gradients(shared_atrous_products, x, k, rates), **options)
    for size in ((9, 7), (2, 13)):
        features, kernel = random((2, *size, 3)), random((3, 3, 3, 4), seed=1)
        direct = outputs_and_gradients(direct_atrous_products, features, kernel, rates)
        for ours, expected in zip(function(features, kernel), direct, strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-11)


def test_on_unknown_sizes_each_span_is_computed_once():
    rates, signs, axes = (2, 6, 12), 2, 2
    function = tf.function(lambda x, k: shared_atrous_products(x, k, rates))
    unknown = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([3, 3, 3, 4])]
    kinds = [operation.type for operation in function.get_concrete_function(*unknown).graph.get_operations()]
    spans = len(rates) * signs * axes
    assert kinds.count("Minimum") == kinds.count("Maximum") == 2 * spans  # the distance and the end, both limited


def test_the_gradient_of_the_shared_product_is_the_finite_difference():
    features, kernel = random((1, 4, 5, 2)), random((3, 3, 2, 2), seed=1)
    products = tf.function(lambda x, k: tf.concat(shared_atrous_products(x, k, (1, 3)), -1))
    theoretical, numerical = tf.test.compute_gradient(products, [features, kernel], delta=1e-4)
    for ours, expected in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16"))
def test_half_precision_differs_from_double_by_its_rounding(dtype):
    features, kernel = random((2, 9, 9, 8)), random((3, 3, 8, 4), seed=1)
    exact = shared_atrous_products(features, kernel, (2, 4))
    ours = shared_atrous_products(tf.cast(features, dtype), tf.cast(kernel, dtype), (2, 4))
    rounding = {"float32": 2**-23, "bfloat16": 2**-7, "float16": 2**-10}[dtype]
    # 72 products, each off by the rounding of two factors and of itself, and nine sums of at most the total magnitude
    magnitude = shared_atrous_products(tf.abs(features), tf.abs(kernel), (2, 4))
    for got, expected, bound in zip(ours, exact, magnitude, strict=True):
        assert np.all(np.abs(tf.cast(got, "float64") - expected) <= 12 * rounding * bound.numpy())


@pytest.mark.parametrize("separable", (False, True))
@pytest.mark.parametrize("method", ("shared", "direct"))
def test_the_layer_is_algorithm_1(method, separable):
    options = {"method": method, "separable": separable, "norm": BatchNorm(epsilon=1e-3)}
    layer = KernelSharingAtrousConv(4, (1, 3, 9), **options, dtype="float64")
    features = random((2, 7, 6, 3))
    layer(features)
    randomized(layer)
    kernel = layer.kernel.numpy()
    kernel = separable_kernel(kernel, layer.depthwise_kernel.numpy()) if separable else kernel

    def normalization(norm):
        gamma, beta, mean, variance = (weight.numpy() for weight in norm.weights)
        return lambda x: (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    literal = kernel_sharing_atrous_convolution(
        features.numpy(), kernel, (1, 3, 9), [normalization(norm) for norm in layer.norms]
    )
    np.testing.assert_allclose(layer(features), literal, atol=1e-11)


def test_equal_rates_give_twice_one_branch_at_initialization():
    features = random((1, 6, 6, 3), dtype="float32")
    twice, once = KernelSharingAtrousConv(4, (1, 1)), KernelSharingAtrousConv(4, (1,))
    twice(features), once(features)
    once.kernel.assign(twice.kernel)
    np.testing.assert_array_equal(twice(features), 2 * once(features))


def test_the_number_of_rates_does_not_change_the_kernel():
    counts = []
    for rates in ((6,), (6, 12, 18), (1, 6, 12, 18, 24)):
        layer = KernelSharingAtrousConv(8, rates)
        layer.build([None, 33, 33, 16])
        counts.append(int(tf.size(layer.kernel)))
    assert counts == [3 * 3 * 16 * 8] * 3


def test_a_separable_kernel_has_the_weights_of_a_1x1_and_a_depthwise_one():
    layer = KernelSharingAtrousConv(8, (6, 12, 18), separable=True)
    layer.build([None, 33, 33, 16])
    assert [tuple(w.shape) for w in layer.weights[:2]] == [(1, 1, 16, 8), (3, 3, 8, 1)]


def test_every_rate_has_a_normalization_of_its_own():
    layer = KernelSharingAtrousConv(4, (1, 2))
    layer(random((1, 5, 5, 3), dtype="float32"), training=True)
    assert len({id(norm) for norm in layer.norms}) == 2
    assert not np.array_equal(layer.norms[0].moving_variance, layer.norms[1].moving_variance)


@pytest.mark.parametrize("merge, channels", (("sum", 3 * 4), ("concat", 4 * 4)))
def test_the_module_sets_its_branches_side_by_side(merge, channels):
    features = random((2, 5, 6, 3), dtype="float32")
    assert KSAC(4, (1, 2), merge=merge, project=False)(features).shape == (2, 5, 6, channels)
    assert KSAC(4, (1, 2), merge=merge)(features).shape == (2, 5, 6, 4)


@pytest.mark.parametrize("merge", ("sum", "concat"))
def test_the_module_is_image_level_then_pointwise_then_the_rates_and_a_1x1_of_them(merge):
    features = random((2, 5, 6, 3), dtype="float32")
    layer = KSAC(4, (1, 2), merge=merge)
    layer(features)
    randomized(layer)
    rates = [rate.numpy() for rate in layer.rate_features(features).values()]
    pyramid = sum(rates) if merge == "sum" else np.concatenate(rates, axis=-1)
    side_by_side = np.concatenate([layer.image_level(features), layer.pointwise(features), pyramid], axis=-1)
    assert len(rates) == 2 and not np.allclose(*rates)
    np.testing.assert_allclose(layer(features), layer.projection(side_by_side), rtol=1e-5)
    bare = KSAC(4, (1, 2), merge=merge, project=False)
    again = KSAC.from_config(bare.get_config())
    assert again.get_config() == bare.get_config() and again(features).shape == bare(features).shape


@pytest.mark.parametrize("policy", ("float32", "mixed_bfloat16", "mixed_float16"))
def test_a_model_with_the_module_is_saved_and_loaded_whole(policy, tmp_path):
    keras.mixed_precision.set_global_policy(policy)
    try:
        image = keras.Input([None, None, 3])
        ksac = KSAC(4, (1, 2), method="direct", separable=True, norm=BatchNorm(momentum=0.9))
        model = keras.Model(image, ksac(image))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    randomized(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    features = random((1, 7, 5, 3), dtype="float32")
    np.testing.assert_array_equal(tf.cast(model(features), "float32"), tf.cast(loaded(features), "float32"))


def test_somebody_elses_deeplab_takes_the_module():
    keras_cv = pytest.importorskip("keras_cv", reason="a peer of TensorFlow 2.15")
    backbone = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[8, 8, 8, 8], stackwise_blocks=[2, 2, 2, 2], stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True, input_shape=(64, 64, 3),
    )  # fmt: skip
    model = keras_cv.models.DeepLabV3Plus(
        backbone=backbone, num_classes=5, projection_filters=8, spatial_pyramid_pooling=KSAC(16, (1, 2))
    )
    assert model(tf.zeros([1, 64, 64, 3])).shape == (1, 64, 64, 5)


@pytest.mark.parametrize(
    "arguments, words",
    (
        ({"merge": "product"}, "merge must be one of sum, concat, not 'product'"),
        ({"method": "fast"}, "method must be one of shared, direct, not 'fast'"),
        ({"atrous_rates": ()}, "atrous_rates must be one or more integers"),
        ({"atrous_rates": (6, 0)}, r"not \(6, 0\)"),
        ({"atrous_rates": (1.5,)}, r"not \(1.5,\)"),
    ),
)
def test_a_wrong_argument_is_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        KernelSharingAtrousConv(4, **arguments)


def test_the_worked_example_gives_the_numbers_it_prints():
    failed, tried = doctest.testmod(shared_products)
    assert (failed, tried) == (0, 3)
    table = shared_products.__doc__
    for rate, numbers in ((1, "210 321 432 543  54"), (2, "310 420 531  42  53")):
        assert f"rate {rate}:  {numbers}" in table
        padded = np.pad(np.arange(1, 6), 2)
        by_hand = [padded[2 + i - rate] + 10 * padded[2 + i] + 100 * padded[2 + i + rate] for i in range(5)]
        assert by_hand == [int(number) for number in numbers.split()]
