"""The normalization value and its configuration."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.any_keras import keras
from deeplab_ksac.layers import BatchNorm, ConvNormAct, deserialize_norm, serialize_norm
from tests.replicas import two_replicas


class Namesake(keras.layers.LayerNormalization):
    """A normalization of somebody's own, which is called as ours is."""


Namesake.__name__ = "BatchNorm"
keras.saving.register_keras_serializable("tests")(Namesake)


@pytest.mark.parametrize(
    "norm",
    (BatchNorm(0.9, 1e-5, False), keras.layers.LayerNormalization, keras.layers.BatchNormalization, Namesake),
)
def test_a_factory_survives_its_configuration(norm):
    restored = deserialize_norm(serialize_norm(norm))
    assert restored(name="one").get_config() == norm(name="one").get_config()


def test_a_restored_layer_is_still_synchronized():
    layer = BatchNorm(synchronized=True)()
    assert type(layer).from_config(layer.get_config()).synchronized
    assert deserialize_norm(serialize_norm(type(layer)))().synchronized is False


def test_the_settings_reach_the_layer():
    layer = ConvNormAct(3, norm=BatchNorm(momentum=0.7, epsilon=0.01)).norm
    assert (layer.momentum, layer.epsilon, layer.synchronized) == (0.7, 0.01, True)


def test_statistics_are_those_of_the_batch():
    layer, features = BatchNorm(momentum=0.0)(), tf.random.normal([2, 5, 5, 3], mean=2.0, seed=1)
    layer(features, training=True)
    np.testing.assert_allclose(layer.moving_mean, np.mean(features, (0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, np.var(features, (0, 1, 2)), rtol=1e-4)


def trained_once(layer, features, upstream):
    """A layer's outputs, gradients and moving averages in one step of training, as float32 arrays."""
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = layer(features, training=True)
    gradients = tape.gradient(outputs, [features, *layer.trainable_weights], upstream)
    averages = layer.moving_mean, layer.moving_variance
    return [tf.cast(value, tf.float32).numpy() for value in (outputs, *gradients, *averages)]


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 2, 20), (4, 9, 8, 16)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("policy, accuracy", [("float32", 2e-5), ("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)])
def test_one_replica_trains_as_kerass_own_layer(shape, affine, policy, accuracy):
    settings = {"momentum": 0.7, "epsilon": 0.01, "center": affine, "scale": affine, "dtype": policy}
    ours, kerass = BatchNorm(synchronized=True)(**settings), keras.layers.BatchNormalization(fused=False, **settings)
    rng, dtype = np.random.default_rng(0), keras.mixed_precision.Policy(policy).compute_dtype
    features, upstream = (tf.cast(rng.normal(size=shape) + 0.5, dtype) for _ in range(2))
    for layer in (ours, kerass):
        layer.build(shape)
        for weight in layer.trainable_weights:
            weight.assign(np.linspace(0.5, 1.5, shape[-1]))
    for found, expected in zip(
        trained_once(ours, features, upstream), trained_once(kerass, features, upstream), strict=True
    ):
        # Keras sums squares where the fused operation sums squared differences; halves round at 2⁻⁹ and 2⁻¹²
        np.testing.assert_allclose(found, expected, rtol=0, atol=accuracy * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("shape", [(4, 5, 7, 3), (2, 1, 1, 20), (6, 9, 8, 16)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("policy, accuracy", [("float32", 2e-5), ("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)])
def test_two_replicas_train_as_kerass_own_layer_on_both_halves(shape, affine, policy, accuracy):
    settings = {"momentum": 0.7, "epsilon": 0.01, "center": affine, "scale": affine, "dtype": policy}
    strategy, rng, dtype = two_replicas(), np.random.default_rng(0), keras.mixed_precision.Policy(policy).compute_dtype
    # the halves differ in mean and deviation, so that no replica's own statistics are those of both
    unlike = np.linspace(0.5, 2.0, shape[0]).reshape(-1, 1, 1, 1)
    features, upstream = (tf.cast(unlike * (rng.normal(size=shape) + 0.5), dtype) for _ in range(2))
    with strategy.scope():
        ours = BatchNorm(synchronized=True)(**settings)
        ours.build(shape)
    kerass = keras.layers.BatchNormalization(fused=False, **settings)
    kerass.build(shape)
    for layer in (ours, kerass):
        for weight in layer.trainable_weights:
            weight.assign(np.linspace(0.5, 1.5, shape[-1]))

    @tf.function
    def step(features, upstream):
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = ours(features, training=True)
        return outputs, *tape.gradient(outputs, [features, *ours.trainable_weights], upstream)

    def dealt(whole):
        halves = tf.split(whole, 2)
        return strategy.experimental_distribute_values_from_function(
            lambda context: halves[context.replica_id_in_sync_group]
        )

    by_replica = map(strategy.experimental_local_results, strategy.run(step, [dealt(features), dealt(upstream)]))
    outputs, feature_gradient, *weight_gradients = by_replica
    found = [tf.concat(outputs, 0), tf.concat(feature_gradient, 0), *map(tf.add_n, weight_gradients)]
    found += [ours.moving_mean, ours.moving_variance]
    for ours_is, expected in zip(found, trained_once(kerass, features, upstream), strict=True):
        np.testing.assert_allclose(
            tf.cast(ours_is, tf.float32), expected, rtol=0, atol=accuracy * max(1, np.abs(expected).max())
        )


def test_replicas_that_share_nothing_normalize_by_their_own_statistics():
    strategy, features = two_replicas(), tf.random.stateless_normal([2, 5, 5, 3], [0, 1])
    halves = tf.split(features * tf.reshape([1.0, 2.0], [2, 1, 1, 1]), 2)
    with strategy.scope():
        layer = BatchNorm(momentum=0.0, synchronized=False)()
        layer.build(features.shape)
    shares = strategy.experimental_distribute_values_from_function(
        lambda context: halves[context.replica_id_in_sync_group]
    )
    strategy.run(tf.function(lambda x: layer(x, training=True)), [shares])
    for half, mean, variance in zip(halves, layer.moving_mean.values, layer.moving_variance.values, strict=True):
        np.testing.assert_allclose(mean, np.mean(half, (0, 1, 2)), rtol=1e-4, atol=1e-6)
        # Keras' operation has the unbiased one, n / (n − 1)
        np.testing.assert_allclose(variance, np.var(half, (0, 1, 2)) * 25 / 24, rtol=1e-4)


@pytest.mark.parametrize("known", (True, False))
def test_a_replica_without_pictures_changes_nothing(known):
    shape, rng = (4, 5, 7, 3), np.random.default_rng(0)
    features, upstream = (tf.constant(rng.normal(size=shape), tf.float32) for _ in range(2))
    strategy, alone = two_replicas(), BatchNorm(momentum=0.7)()
    alone.build(shape)
    with strategy.scope():
        layer = BatchNorm(momentum=0.7)()
        layer.build(shape)

    @tf.function
    def step(features, upstream):
        if not known:
            features = tf.compat.v1.placeholder_with_default(features, [None, *shape[1:]])
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features, training=True)
        return outputs, *tape.gradient(outputs, [features, *layer.trainable_weights], upstream)

    def dealt(whole):
        return strategy.experimental_distribute_values_from_function(
            lambda context: (whole, whole[:0])[context.replica_id_in_sync_group]
        )

    by_replica = map(strategy.experimental_local_results, strategy.run(step, [dealt(features), dealt(upstream)]))
    outputs, feature_gradient, *weight_gradients = by_replica
    found = [tf.concat(outputs, 0), tf.concat(feature_gradient, 0), *map(tf.add_n, weight_gradients)]
    found += [value for average in (layer.moving_mean, layer.moving_variance) for value in average.values]
    *expected, mean, variance = trained_once(alone, features, upstream)
    for ours, theirs in zip(found, [*expected, mean, mean, variance, variance], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * max(1, np.abs(theirs).max()))


U = 2.0**-24  # float32's unit roundoff


def variance_bound(pixels, ratio, apart):
    """The relative error that a variance in float32 may have where the mean is `ratio` deviations, and those of the
    replicas are up to `apart` deviations away from it.

    The mean of n numbers, added up one after the other in the worst order, has the error δ = n·u·|μ| at most. The mean
    square of the distances from it is σ² + δ². What a replica adds, (m − μ)², has the error 2·|m − μ|·2δ + (2δ)². And
    adding n squares rounds by (n + 8)·u: eight roundings for a distance, its square, the division, the exchange.
    """
    of_mean = pixels * U * ratio
    return (pixels + 8) * U + 5 * of_mean**2 + 4 * apart * of_mean


@pytest.mark.parametrize("ratio", (1, 1e3))
@pytest.mark.parametrize("replicas", (1, 2))
def test_the_variance_survives_a_mean_that_is_large_beside_the_deviation(replicas, ratio):
    shape, rng = (4, 2, 2, 32), np.random.default_rng(0)
    features = (rng.normal(size=shape) + ratio).astype("float32")
    features[2:] += rng.uniform(-1, 1, [1, 1, 1, shape[-1]]).astype("float32")  # the replicas' means differ
    exact = features.astype("float64")
    mean, variance = exact.mean((0, 1, 2)), exact.var((0, 1, 2))
    pixels = np.prod(shape[:3])
    with two_replicas().scope() if replicas == 2 else contextlib.nullcontext():
        layer = BatchNorm(momentum=0.0, epsilon=1e-6)()
        layer.build(shape)
    if replicas == 2:
        halves = tf.split(tf.constant(features), 2)
        shares = two_replicas().experimental_distribute_values_from_function(
            lambda context: halves[context.replica_id_in_sync_group]
        )
        step = tf.function(lambda x: layer(x, training=True))
        outputs = tf.concat(two_replicas().experimental_local_results(two_replicas().run(step, [shares])), 0)
    else:
        outputs = layer(tf.constant(features), training=True)
    deviation = np.sqrt(variance)
    apart = np.max(np.abs(exact[:2].mean((0, 1, 2)) - mean) / deviation) if replicas == 2 else 0
    bound = variance_bound(pixels, np.max(np.abs(mean) / deviation), apart)
    found = layer.moving_variance.numpy().astype("float64")
    assert np.max(np.abs(found / variance - 1)) <= bound
    # the outputs take half the variance's error, and the mean's in units of the deviation
    expected = (exact - mean) / np.sqrt(variance + 1e-6)
    limit = bound / 2 * np.abs(expected).max() + (pixels + 4) * U * np.max(np.abs(mean) / np.sqrt(variance))
    assert np.max(np.abs(outputs - expected)) <= limit


def test_squares_minus_the_squared_mean_would_miss_that_bound():
    """Why squares are not what replicas exchange: at μ = 10³·σ they lose percents."""
    features = (np.random.default_rng(0).normal(size=[16, 32]) + 1e3).astype("float32")
    mean, squares = tf.reduce_mean(features, 0), tf.reduce_mean(tf.square(features), 0)
    error = np.abs((squares - tf.square(mean)) / features.astype("float64").var(0) - 1)
    assert error.max() > 1e-2 > variance_bound(16, 2e3, 1)


def test_a_single_pixel_is_normalized_to_the_offset():
    layer = BatchNorm(momentum=0.5)()
    np.testing.assert_array_equal(layer(tf.fill([1, 1, 1, 2], 7.0), training=True), np.zeros([1, 1, 1, 2]))
    np.testing.assert_allclose(layer.moving_variance, [0.5, 0.5])


def test_frozen_it_normalizes_by_its_averages():
    layer, features = BatchNorm(epsilon=1e-6)(), tf.random.normal([1, 3, 3, 2], seed=1)
    layer.trainable = False
    np.testing.assert_allclose(layer(features, training=True), features, rtol=1e-5)


def filled(layer, shape, seed=3):
    """The layer with weights and averages other than its first ones."""
    layer.build(shape)
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape))
    return layer


@pytest.mark.parametrize("fixed", (False, True), ids=("averaged", "fixed"))
def test_by_its_averages_it_is_one_operation_that_tensorflow_joins_with_the_convolution(fixed):
    conv, norm = keras.layers.Conv2D(4, 3, use_bias=False), filled(BatchNorm(fixed=fixed)(), [1, 4, 4, 4])
    predict = tf.function(lambda x: tf.nn.relu(norm(conv(x), training=False)))
    kinds = [op.type for op in predict.get_concrete_function(tf.zeros([1, 6, 6, 3])).graph.get_operations()]
    assert kinds.count("FusedBatchNormV3") == 1 and not {"Mul", "AddV2", "IdentityN"} & {*kinds}


@pytest.mark.parametrize("affine", (True, False))
@pytest.mark.parametrize("policy, accuracy", (("float32", 1e-6), ("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)))
def test_by_its_averages_it_gives_what_kerass_own_layer_gives(policy, accuracy, affine):
    settings = {"epsilon": 0.01, "center": affine, "scale": affine, "dtype": policy}
    ours, kerass = (filled(make(**settings), [2, 5, 7, 3]) for make in (BatchNorm(), keras.layers.BatchNormalization))
    features = tf.random.stateless_normal([2, 5, 7, 3], [0, 1])
    found, expected = (tf.cast(layer(features, training=False), tf.float32) for layer in (ours, kerass))
    np.testing.assert_allclose(found, expected, rtol=accuracy, atol=accuracy)


@pytest.mark.parametrize("affine", (True, False))
@pytest.mark.parametrize("policy, accuracy", (("float32", 2e-5), ("mixed_bfloat16", 2e-2), ("mixed_float16", 3e-3)))
def test_fixed_statistics_have_the_gradients_of_the_formula(policy, accuracy, affine):
    settings = {"center": affine, "scale": affine, "dtype": policy}
    layer = filled(BatchNorm(epsilon=0.01, fixed=True)(**settings), [4, 9, 8, 3])
    rng, dtype = np.random.default_rng(0), keras.mixed_precision.Policy(policy).compute_dtype
    features, upstream = (tf.cast(rng.normal(size=[4, 9, 8, 3]), dtype) for _ in range(2))
    kept = [average.numpy() for average in (layer.moving_mean, layer.moving_variance)]
    outputs, of_features, *of_weights, mean, variance = trained_once(layer, features, upstream)
    np.testing.assert_array_equal((mean, variance), kept)
    x, dy = (tf.cast(value, tf.float32).numpy().astype(np.float64) for value in (features, upstream))
    gamma, beta = (layer.gamma.numpy(), layer.beta.numpy()) if affine else (1.0, 0.0)
    deviation = np.sqrt(kept[1] + 0.01)
    along = (x - kept[0]) / deviation
    largest = np.sum(np.abs(dy * along), (0, 1, 2)).max()  # rounding is relative to the terms of a sum
    np.testing.assert_allclose(outputs, gamma * along + beta, rtol=accuracy, atol=accuracy)
    np.testing.assert_allclose(of_features, dy * gamma / deviation, rtol=accuracy, atol=accuracy)
    sums = (np.sum(dy * along, (0, 1, 2)), np.sum(dy, (0, 1, 2))) if affine else ()
    for found, expected in zip(of_weights, sums, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6 * largest)


@pytest.mark.parametrize(
    "settings, words",
    (
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), not 1.0"),
        ({"epsilon": 0}, "epsilon must be above 0, not 0"),
    ),
)
def test_a_wrong_setting_is_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        BatchNorm(**settings)
