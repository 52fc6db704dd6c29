"""The layers against the loops over the thesis's indices, outputs and gradients, on each backend in float64.

A gradient is compared by its slope along a random direction: (f(x + s·d) − f(x − s·d)) / 2s of the twin. With s = 1e-5
that errs by s² times a third derivative, and by the rounding 2⁻⁵³ · |f| / s: 1e-10 both, with |f| and the derivative
of some tens. Outputs are sums of some hundred terms of size 1, each rounded at 2⁻⁵³: 1e-13.
"""

import numpy as np
import pytest

from caa import AxialAttention, ChannelizedAxialAttention, ChannelizedSelfAttention, attend_pixels
from car import ClassAwareRegularizer, class_statistics
from car.pixels import labelled_pixels
from deeplab_ksac import KernelSharingAtrousConv
from deeplab_ksac.any_keras import KERAS_3
from deeplab_ksac.fractional_rates import fractional_atrous_products
from deeplab_ksac.ksac import direct_atrous_products
from deeplab_ksac.layers import BatchNorm, resize_bilinear
from deeplab_ksac.layers.pooling import adaptive_average_pool
from deeplab_ksac.shared_products import shared_atrous_products
from deeplab_ksac.tensor_ops import ops
from deeplab_ksac.tensor_ops.maps import resize_labels
from tests.car.examples import SETTINGS, finite_differences, literal_terms, random_pixels
from tests.keras3.arrays import TENSORFLOW, TORCH, double_precision, random, to_numpy, values_and_gradients
from tests.literal import caa as literal
from tests.literal import car as literal_car
from tests.literal import convolution as literal_convolution
from tests.literal.attention import self_attention
from tests.literal.ksac import atrous_convolution, fractional_atrous_convolutions
from tests.random_layers import randomize, weights_of

pytestmark = pytest.mark.skipif(not KERAS_3, reason="the layers' own tests are for Keras 2")

STEP, EXACT, SLOPE = 1e-5, 1e-12, 1e-8
# Keras computes dense layers and batch normalization in float32 there, float64 or not: sums of some ten numbers of
# size 1, rounded at 2⁻²⁴, and of some hundred in the slope
FLOAT32, FLOAT32_SLOPE = 32 * 2**-24, 1024 * 2**-24
GATE = {"gate_width": 4, "gate_depth": 2, "negative_slope": 0.25}  # a slope that TensorFlow does not round
ROW_BYTES = 15 * 8  # of one query's weights on a map of 5 × 3 pixels


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def slope(function, arrays, directions):
    """The derivative of a function of arrays along directions."""
    ahead, behind = (
        function(*(x + sign * STEP * d for x, d in zip(arrays, directions, strict=True))) for sign in (1, -1)
    )
    return (ahead - behind) / (2 * STEP)


def assert_equal_with_gradients(function, twin, arrays, exact=True):
    """A function of tensors is that of arrays, its values and the slope of their random weighted sum."""
    expected = twin(*arrays)
    weights = random(np.shape(expected), seed=9, dtype="float64")
    (found, _), gradients = values_and_gradients(
        lambda *tensors: (lambda y: (ops.stop_gradient(y), y * ops.convert_to_tensor(weights)))(function(*tensors)),
        arrays,
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT if exact else FLOAT32)
    directions = [random(x.shape, seed=index, dtype="float64") for index, x in enumerate(arrays)]
    expected_slope = slope(lambda *moved: np.sum(weights * twin(*moved)), arrays, directions)
    found_slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(found_slope, expected_slope, rtol=0, atol=SLOPE if exact else FLOAT32_SLOPE)


ATTENTIONS = {
    "axial": lambda: AxialAttention(4, 3, norm=None),
    "channelized": lambda: ChannelizedAxialAttention(4, 3, **GATE, norm=None),
    "channelized, Algorithm 2": lambda: ChannelizedAxialAttention(4, 3, **GATE, norm=None, groups=2),
    "over all pixels": lambda: ChannelizedSelfAttention(4, 3, **GATE, norm=None),
    "over all pixels, Algorithm 2": lambda: ChannelizedSelfAttention(4, 3, **GATE, norm=None, groups=4),
    "over all pixels, by blocks": lambda: ChannelizedSelfAttention(4, 3, **GATE, norm=None),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_is_its_equations(name):
    layer = ATTENTIONS[name]()
    if "blocks" in name:
        layer.map_bytes = 4 * ROW_BYTES
    image = random([2, 5, 3, 6], dtype="float64")
    layer(image)
    randomize(layer)

    def on_one_image(features):
        parts = {
            key: features @ weights_of(layer, key)[0][0, 0] + weights_of(layer, key)[1]
            for key in ("theta", "phi", "value")
            if hasattr(layer, key)
        }
        if isinstance(layer, ChannelizedSelfAttention):
            gate = weights_of(layer, "gate")
            return literal.channelized_self_attention(parts["theta"], parts["value"], gate, layer.gate.negative_slope)
        if not isinstance(layer, ChannelizedAxialAttention):
            return literal.axial_attention(*parts.values())
        gates = [weights_of(layer, key) for key in ("column_gate", "row_gate")]
        return literal.channelized_axial_attention(*parts.values(), *gates, layer.row_gate.negative_slope)

    def twin(images):
        return np.stack([on_one_image(features) for features in images])

    assert_equal_with_gradients(layer, twin, [image], exact=not TORCH or name == "axial")


@pytest.mark.parametrize("layer_class", [ChannelizedAxialAttention, ChannelizedSelfAttention])
def test_algorithm_2_trains_as_the_factored_form(layer_class):
    image = random([2, 5, 4, 6], dtype="float64")
    results = []
    for groups in (None, 3):
        layer = layer_class(4, 3, **GATE, groups=groups)
        layer(image)
        randomize(layer)
        results.append(values_and_gradients(lambda x, layer=layer: [layer(x, training=True) ** 3], [image]))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one[0], other[0], rtol=0, atol=EXACT if TENSORFLOW else FLOAT32_SLOPE)


@pytest.mark.parametrize("blocks", [None, 1, 2, 6, 7])
def test_attention_by_blocks_is_equation_3_1(blocks):
    query, key, value = (random([2, 2, 3, n], seed, "float64") for seed, n in enumerate((4, 4, 5)))

    map_bytes = None if blocks is None else blocks * 6 * 8
    assert_equal_with_gradients(
        lambda *maps: ops.reshape(
            attend_pixels(*(ops.reshape(x, [2, 6, x.shape[-1]]) for x in maps), map_bytes=map_bytes), [2, 2, 3, 5]
        ),
        lambda *maps: np.stack([self_attention(*one) for one in zip(*maps, strict=True)]),
        [query, key, value],
    )


@pytest.mark.parametrize("products", [shared_atrous_products, direct_atrous_products])
@pytest.mark.parametrize("size, rates", [((5, 7), (1, 3, 30)), ((1, 4), (2, 2))])
def test_the_pyramid_is_algorithm_1_line_4(products, size, rates):
    features, kernel = random([2, *size, 3], 0, "float64"), random([3, 3, 3, 2], 1, "float64")
    assert_equal_with_gradients(
        lambda x, k: ops.stack(list(products(x, k, rates))),
        lambda x, k: np.stack([atrous_convolution(x, k, rate) for rate in rates]),
        [features, kernel],
    )


def test_a_fractional_rate_lies_between_two_of_algorithm_1():
    assert_equal_with_gradients(
        lambda x, k, r: ops.stack(fractional_atrous_products(x, k, r)),
        lambda x, k, r: np.stack(fractional_atrous_convolutions(x, k, r)),
        [
            random([2, 3, 4, 3], 0, "float64"),
            random([3, 3, 3, 2], 1, "float64"),
            np.array([[1.25, 2.5], [0.75, 30.5]]),
        ],
    )


@pytest.mark.parametrize("method", ["shared", "direct"])
def test_the_kernel_sharing_layer_is_algorithm_1(method):
    layer = KernelSharingAtrousConv(4, (1, 3, 9), method=method, norm=BatchNorm(epsilon=1e-3))
    image = random([2, 5, 4, 3], dtype="float64")
    layer(image)
    randomize(layer)
    kernel = np.asarray(layer.get_weights()[0])
    statistics = [[np.asarray(w) for w in norm.get_weights()] for norm in layer.norms]
    twin = lambda x: sum(  # noqa: E731
        np.maximum(literal_convolution.normalize(atrous_convolution(x, kernel, rate), *values, 1e-3), 0)
        for rate, values in zip((1, 3, 9), statistics, strict=True)
    )
    assert_equal_with_gradients(layer, twin, [image], exact=TENSORFLOW)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_terms_of_car_are_the_equations(settings):
    features, labels = random_pixels(1, shape=(2, 2, 3), channels=2)
    regularizer = ClassAwareRegularizer(5, settings=settings)
    expected = literal_terms(features, labels, 5, settings)
    seen = {}

    def terms(x):
        seen.update(regularizer(x, ops.convert_to_tensor(labels)))
        return [sum(weight * seen[name] for name, weight in WEIGHTS.items())]

    _, (gradient,) = values_and_gradients(lambda x: tuple(terms(x)), [features])
    numeric = finite_differences(
        lambda x: sum(WEIGHTS[n] * v for n, v in literal_terms(x, labels, 5, settings, fixed_at=features).items()),
        features,
    )
    np.testing.assert_allclose(gradient, numeric, atol=SLOPE)
    found = regularizer(ops.convert_to_tensor(features), ops.convert_to_tensor(labels))
    for name, value in expected.items():
        np.testing.assert_allclose(to_numpy(found[name]), value, rtol=EXACT, err_msg=name)


WEIGHTS = {"intra_c2p": 1.0, "inter_c2c": 2.0, "inter_c2p": 3.0}


def test_predicted_labels_are_the_classes_of_confident_pixels():
    features, _ = random_pixels(1)
    logits = 3 * random([2, 4, 5, 5], 2, "float64")
    labels = literal_car.predicted_labels(logits, 0.6)
    found = ClassAwareRegularizer(5, labels="predicted", threshold=0.6)(
        ops.convert_to_tensor(features), None, ops.convert_to_tensor(logits)
    )
    for name, value in literal_terms(features, labels, 5, SETTINGS["defaults"]).items():
        np.testing.assert_allclose(to_numpy(found[name]), value, rtol=EXACT, err_msg=name)


def test_centers_of_images_and_moving_averages_are_the_equations():
    features, labels = random_pixels(ignored=0)
    each = [literal_terms(x[None], y[None], 5, SETTINGS["defaults"]) for x, y in zip(features, labels, strict=True)]
    tensors = ops.convert_to_tensor(features), ops.convert_to_tensor(labels)
    for name, value in ClassAwareRegularizer(5, centers="image")(*tensors).items():
        np.testing.assert_allclose(to_numpy(value), np.mean([terms[name] for terms in each]), rtol=EXACT)
    regularizer = ClassAwareRegularizer(5, moving_average=0.8, dtype="float64")
    regularizer.build(features.shape)
    start = np.asarray(regularizer.get_weights()[0])
    regularizer(*tensors)
    moved = start + 0.2 * (literal_car.class_centers(features.reshape([-1, 6]), labels.ravel(), 5) - start)
    moved[3] = start[3]  # the class that is absent
    np.testing.assert_allclose(regularizer.get_weights()[0], moved, rtol=EXACT)


def test_statistics_are_their_definitions():
    features, labels = random_pixels()
    members = [features[labels == k] for k in range(5) if (labels == k).any()]
    directions = [x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)) for x in members]
    flat = (
        ops.convert_to_tensor(features.reshape([2, -1, 6])),
        ops.convert_to_tensor(np.minimum(labels, 5).reshape([2, -1])),
    )
    found = class_statistics(*map(ops.convert_to_tensor, flat), 5)
    variance = np.mean([np.mean(np.var(x, axis=0)) for x in members])
    np.testing.assert_allclose(to_numpy(found["intra_class_variance"]), variance, rtol=EXACT)
    cosines = [a @ b for i, a in enumerate(directions) for j, b in enumerate(directions) if i != j]
    np.testing.assert_allclose(to_numpy(found["center_similarity"]), np.mean(cosines), rtol=EXACT)


@pytest.mark.parametrize("bad", [5, 254, -1])
def test_a_wrong_label_is_an_error_where_labels_have_values(bad):
    features, labels = random_pixels()
    labels[1, 2, 3] = bad
    tensors = ops.convert_to_tensor(features), ops.convert_to_tensor(labels)
    with pytest.raises(ValueError, match=rf"labels must lie in 0…4 or be 255 \(ignored\), not {bad}"):
        ClassAwareRegularizer(5)(*tensors)
    ClassAwareRegularizer(5, check_inputs=False)(*tensors)


def test_wrong_shapes_and_types_are_errors():
    features, labels = map(ops.convert_to_tensor, random_pixels())
    regularizer = ClassAwareRegularizer(5)
    with pytest.raises(ValueError, match=r"batch size: features are \(1, 4, 5, 6\), labels \(2, 4, 5\)"):
        regularizer(features[:1], labels)
    with pytest.raises(ValueError, match="labels must be integers, not float32"):
        regularizer(features, ops.cast(labels, "float32"))
    with pytest.raises(ValueError, match=r"labels must be \[N, H, W\], not \(2, 4, 5, 1\)"):
        regularizer(features, labels[..., None])


@pytest.mark.parametrize("size", [(5, 7), (1, 3), (17, 33), (20, 40)])
def test_labels_are_resized_to_the_nearest(size):
    labels = np.random.default_rng(0).integers(0, 256, [2, 17, 33]).astype("int32")
    expected = [literal_car.resize_nearest(image, *size) for image in labels]
    np.testing.assert_array_equal(to_numpy(resize_labels(ops.convert_to_tensor(labels), size)), expected)


@pytest.mark.parametrize("pooling", [2, 3])
@pytest.mark.parametrize("size", [(5, 5), (4, 7)])
def test_pooled_pixels_are_means_of_those_that_there_are(pooling, size):
    features = random([1, *size, 2], dtype="float64")
    labels = np.zeros([1, *size], "int32")
    pixels, found = labelled_pixels(ops.convert_to_tensor(features), ops.convert_to_tensor(labels), 4, pooling=pooling)
    before = [(-side % pooling) // 2 for side in size]  # as TensorFlow pads: the larger part is at the end
    expected = [
        features[0, max(0, i - before[0]) : i - before[0] + pooling, max(0, j - before[1]) : j - before[1] + pooling]
        for i in range(0, size[0] + before[0], pooling)
        for j in range(0, size[1] + before[1], pooling)
    ]
    np.testing.assert_allclose(to_numpy(pixels)[0], [x.mean(axis=(0, 1)) for x in expected], atol=EXACT)
    assert to_numpy(found).shape == (1, len(expected))


@pytest.mark.parametrize("size", [(9, 13), (3, 4), (1, 1)])
def test_maps_are_resized_with_corners_aligned(size):
    maps = random([2, 5, 7, 3])
    expected = [literal_convolution.resize(x.astype("float64"), *size) for x in maps]
    # interpolation of numbers below 4 in float32, four roundings
    found = to_numpy(resize_bilinear(ops.convert_to_tensor(maps), size))
    np.testing.assert_allclose(found, expected, atol=16 * 2**-23)


@pytest.mark.parametrize("bins", [1, 2, 6])
def test_means_over_regions_cover_the_map(bins):
    maps = random([2, 5, 7, 3], dtype="float64")
    expected = [literal_convolution.adaptive_average_pool(x, bins) for x in maps]
    np.testing.assert_allclose(to_numpy(adaptive_average_pool(ops.convert_to_tensor(maps), bins)), expected, atol=EXACT)
