"""Multiply-adds, counted by hand; and TensorFlow's profiler where it is right."""

import functools

import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac import KernelSharingAtrousConv
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.flops import count as flops
from deeplab_ksac.flops.convention import profiler_float_ops
from deeplab_ksac.model import build_model
from deeplab_ksac.zero_weights import zero_weights

CLASSES = 3
SPEC = ModelSpec(
    backbone=part("resnet50", blocks=(1, 1, 1, 1), width=4),
    head=part("self_attention", filters=8, key_filters=2),
    decoder=part("low_level", filters=4, low_level_filters=3),
    output_stride=8,
)


@pytest.fixture(scope="module")
def model():
    return build_model(SPEC, CLASSES)


def counted(function, *shapes):
    """The sum of what `function` of float32 tensors of these shapes multiplies."""
    specs = [shape if isinstance(shape, tf.TensorSpec) else tf.TensorSpec(shape) for shape in shapes]
    return sum(flops.count_multiply_adds(flops.trace(function, *specs)).values())


def conv(size=3, *, channels=4, filters=5, **options):
    kernel = tf.zeros([size, size, channels, filters])
    return lambda x: tf.nn.conv2d(x, kernel, **{"strides": 1, "padding": "SAME", **options})


def keras_layer(layer):
    layer.build([1, 17, 13, 4])
    return layer


def by_rows(x):
    return tf.einsum("nhwc,nhvc->nhwv", x, x)


BY_HAND = {  # function of [1, 17, 13, 4], what it multiplies
    "same": (conv(), 17 * 13 * 9 * 4 * 5),
    "valid": (conv(padding="VALID"), 15 * 11 * 9 * 4 * 5),
    "stride": (conv(strides=2), 9 * 7 * 9 * 4 * 5),
    "native atrous": (conv(dilations=6), 17 * 13 * 9 * 4 * 5),
    "space-to-batch": (keras_layer(keras.layers.Conv2D(5, 3, padding="same", dilation_rate=6)), 17 * 13 * 9 * 4 * 5),
    "groups": (keras_layer(keras.layers.Conv2D(6, 3, padding="same", groups=2)), 17 * 13 * 9 * 2 * 6),
    "depthwise": (keras_layer(keras.layers.DepthwiseConv2D(3, padding="same")), 17 * 13 * 9 * 4),
    "atrous depthwise": (
        keras_layer(keras.layers.DepthwiseConv2D(3, padding="same", dilation_rate=4)),
        17 * 13 * 9 * 4,
    ),
    "transposed": (keras_layer(keras.layers.Conv2DTranspose(7, 2, strides=2)), 17 * 13 * 4 * 4 * 7),
    "dense": (keras_layer(keras.layers.Dense(7)), 17 * 13 * 4 * 7),
    "einsum": (lambda x: tf.einsum("nhwc,nhvc->nhwv", x, x), 17 * 13 * 13 * 4),
    "einsum of dots": (lambda x: tf.einsum("...wc,cd->...wd", x, tf.zeros([4, 6])), 17 * 13 * 4 * 6),
    "einsum of one": (lambda x: tf.einsum("nhwc->nchw", x), 0),
    "batch product": (lambda x: tf.matmul(x, x, transpose_b=True), 17 * 13 * 13 * 4),
    "transposed batch product": (lambda x: tf.matmul(x, x, transpose_a=True), 17 * 4 * 4 * 13),
    "sums and maxima": (lambda x: tf.nn.max_pool2d(x + 1, 2, 2, "SAME"), 0),
    "loop": (lambda x: tf.map_fn(lambda row: tf.matmul(row, row, transpose_b=True), x[0]), 17 * 13 * 13 * 4),
    "equal branches": (
        lambda x: tf.cond(tf.reduce_max(x) > 0, lambda: tf.matmul(x, x, transpose_b=True), lambda: by_rows(x)),
        17 * 13 * 13 * 4,
    ),
    "called function": (tf.function(lambda x: tf.matmul(x, x, transpose_b=True)), 17 * 13 * 13 * 4),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_products_are_those_counted_by_hand(case):
    function, expected = BY_HAND[case]
    assert counted(lambda x: function(x), [1, 17, 13, 4]) == expected


UNKNOWN = tf.TensorSpec([1, None, 13, 4])


@pytest.mark.parametrize(
    "function, spec, words",
    (
        (lambda x: BY_HAND["same"][0](x), UNKNOWN, r"has the size \(1, None, 13, 5\), which is not known"),
        (lambda x: BY_HAND["einsum"][0](x), UNKNOWN, "which is not known; give the image's height and width"),
        (
            lambda x: tf.map_fn(lambda row: tf.matmul(row, row, transpose_b=True), x[0]),
            UNKNOWN,
            "a loop whose number of turns is unknown",
        ),
        (
            lambda x: tf.nn.conv3d_transpose(x[..., None], tf.zeros([1, 1, 1, 1, 1]), [1, 17, 13, 4, 1], 1),
            tf.TensorSpec([1, 17, 13, 4]),
            "Conv3DBackpropInputV2 are not known",
        ),
        (
            lambda x: tf.cond(tf.reduce_max(x) > 0, lambda: by_rows(x), lambda: tf.zeros([1, 17, 13, 13])),
            tf.TensorSpec([1, 17, 13, 4]),
            "what it multiplies depends on a condition",
        ),
        (
            lambda x: tf.switch_case(
                tf.cast(x[0, 0, 0, 0], tf.int32), [lambda: x, lambda: x + 1, lambda: 2 * by_rows(x)[..., :4]]
            ),
            tf.TensorSpec([1, 17, 13, 4]),
            "what it multiplies depends on a condition",
        ),
        (
            lambda x: tf.numpy_function(lambda x: x @ x.T, [x], tf.float32),
            tf.TensorSpec([1, 17, 13, 4]),
            "PyFunc are not known",
        ),
    ),
)
def test_what_cannot_be_counted_is_refused(function, spec, words):
    with pytest.raises(ValueError, match=words):
        counted(function, spec)


def test_a_loop_in_the_form_of_tensorflow_1_is_refused():
    with tf.Graph().as_default() as graph:
        tf.compat.v1.disable_control_flow_v2()
        try:
            x = tf.compat.v1.placeholder(tf.float32, [4, 4])
            tf.while_loop(lambda turn, x: turn < 7, lambda turn, x: (turn + 1, tf.matmul(x, x)), (0, x))
        finally:
            tf.compat.v1.enable_control_flow_v2()
    with pytest.raises(ValueError, match="while/Enter: a loop whose number of turns is unknown cannot be counted"):
        flops.count_multiply_adds(graph)


def test_the_profiler_agrees_where_it_is_right(model):
    graph = flops.model_graph(model, 33, 41)
    ours, theirs = flops.count_multiply_adds(graph), profiler_float_ops(graph)
    assert len(ours) > 20 and all(theirs[name] == 2 * number for name, number in ours.items())


def test_the_parts_hold_all_parameters_and_products(model):
    graph = flops.model_graph(model, 33, 41)
    parts, parameters = flops.by_part(flops.count_multiply_adds(graph)), flops.count_parameters(model)
    assert list(parts) == list(parameters) == ["backbone", "head", "bottleneck", "decoder", "classifier"]
    assert sum(parameters.values()) == model.count_params()
    low_level = 16  # channels of c2, at 9×11 pixels
    assert parts["decoder"] == 9 * 11 * (low_level * 3 + 9 * (512 + 3) * 4 + 9 * 4 * 4)
    assert parts["classifier"] == 9 * 11 * 4 * CLASSES


def test_the_flops_of_a_model_are_those_of_one_output(model):
    parts = flops.by_part(flops.count_multiply_adds(flops.model_graph(model, 33, 41)))
    assert flops.count_flops(model, 33, 41) == sum(parts.values())
    assert flops.count_flops(model, 33, 41, output="features") == parts["backbone"] + parts["head"]


def test_counts_are_a_table_of_the_parts():
    counts = flops.Counts({"backbone": 1000, "head": 24}, {"head": 2**29, "resize": 2**30})
    header, *rows = str(counts).splitlines()
    assert header.split() == ["part", "parameters", "multiply-adds"]
    assert [row.split() for row in rows] == [
        ["backbone", "1,000", "0.0000", "G"],
        ["head", "24", "0.5000", "G"],
        ["resize", "0", "1.0000", "G"],
        ["all", "1,024", "1.5000", "G"],
    ]


def test_weights_begin_at_zero_where_that_is_asked():
    with zero_weights():
        empty = keras_layer(keras.layers.Conv2D(5, 3))
    assert not empty.kernel.numpy().any() and empty.kernel.shape == [3, 3, 4, 5]
    assert keras_layer(keras.layers.Conv2D(5, 3)).kernel.numpy().any()


class Served(tf.Module):
    """A convolution in a function of its own, at half the image's size; in a loop over the rows too, where asked."""

    def __init__(self, loop):
        super().__init__()
        self.loop, self.kernel = loop, tf.Variable(tf.zeros([3, 3, 3, 4]), name="head/kernel")
        self.convolve = tf.function(lambda x: tf.nn.conv2d(x, self.kernel, 1, "SAME"))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def __call__(self, image):
        size = tf.shape(image)[1:3] // 2
        features = self.convolve(tf.image.resize(tf.cast(image, tf.float32), size))
        if self.loop:
            features = tf.map_fn(lambda row: tf.matmul(row, row, transpose_b=True), features[0])
        return {"classes": features}


@pytest.fixture
def save(tmp_path):
    def save_served(loop):
        served = Served(loop)
        tf.saved_model.save(served, str(tmp_path), signatures={"serving_default": served.__call__})
        return tmp_path

    return save_served


def test_a_saved_model_of_any_size_is_counted_at_one(save):
    path = save(loop=False)
    graph, variables = flops.saved_model_graph(path, 33, 41)
    assert sum(flops.count_multiply_adds(graph).values()) == 16 * 20 * 9 * 3 * 4
    assert [variable.shape for variable in variables] == [[3, 3, 3, 4]]
    with pytest.raises(ValueError, match="no signature 'other'; it has serving_default"):
        flops.saved_model_graph(path, 33, 41, signature="other")


def test_a_saved_model_whose_loops_depend_on_the_image_is_refused(save):
    graph, _ = flops.saved_model_graph(save(loop=True), 33, 41)
    with pytest.raises(ValueError, match=r"cannot be counted|which is not known"):
        flops.count_multiply_adds(graph)


@functools.cache
def pyramid(*rates, **options):
    """Multiply-adds of the kernel-sharing pyramid of ResNets at 513×513, output stride 16."""
    layer = KernelSharingAtrousConv(256, rates, **options)
    with zero_weights():
        layer.build([1, 33, 33, 2048])
    return counted(layer, [1, 33, 33, 2048])


def test_a_shared_kernel_costs_at_most_one_branch_whatever_the_rates():
    one_branch = 33 * 33 * 9 * 2048 * 256
    assert pyramid(6, 12, 18, method="direct") == 3 * one_branch
    reached = 33 * 33 + 4 * 33 * 27 + 4 * 27 * 27  # positions from which rate 6 stays on the map, over the nine taps
    assert pyramid(6, 12, 18) == reached * 2048 * 256 < one_branch
    assert pyramid(6, 12, 18, 24, 30) == pyramid(6, 12, 18)
    assert pyramid(6, 12, 18) < pyramid(1, 6, 12, 18, 24) == pyramid(1, 6, 12) < one_branch


def test_a_separable_shared_kernel_mixes_channels_once_whatever_the_rates():
    mixing, nine = 33 * 33 * 2048 * 256, 33 * 33 * 9 * 256
    assert pyramid(6, 12, 18, separable=True) == mixing + 3 * nine
    assert pyramid(1, 6, 12, 18, 24, separable=True) == mixing + 5 * nine
    assert pyramid(6, 12, 18, separable=True, method="direct") == 3 * (mixing + nine)
