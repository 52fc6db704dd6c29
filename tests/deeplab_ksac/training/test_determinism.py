"""What cannot be repeated is refused by name before the first step; what can, repeats in another process."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.dropout import Dropout, DropPath
from deeplab_ksac.training.strategy import ON_THE_HOST, check_repeatable, device_type, operations
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS

HEADS = sorted({name: variant for variant, (name, *_) in reversed(VARIANTS.items())}.values())

PROGRAM = """
import sys
import numpy as np, tensorflow as tf
from deeplab_ksac.keras2 import keras
from deeplab_ksac.heads.decoders import Bottleneck
from deeplab_ksac.heads import HEADS
from deeplab_ksac.layers import BatchNorm, ConvNormAct, resize_labels
from deeplab_ksac.training import strategy as strategies
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS

strategies.split_cpu(2)

def model_and_optimizer(norm):
    image = x = keras.Input([33, 33, 3])
    pyramid = {}
    for level in ("c2", "c3", "c4", "c5"):
        x = ConvNormAct(4, 3, strides=2, norm=norm, name=level)(x)
        pyramid[level] = x
    heads, outputs = {}, {}
    for variant in sys.argv[2:]:
        name, arguments, *_ = VARIANTS[variant]
        head = heads[variant] = HEADS[name](**arguments, norm=norm, name=variant)
        features = head(pyramid)["features"]
        features = features[0] if isinstance(features, tuple) else features
        features = Bottleneck(4, 1, dropout=0.2, norm=norm, name=f"{variant}_bottleneck")(features)
        logits = keras.layers.Conv2D(3, 1, name=f"{variant}_classifier")(features)
        outputs[variant] = keras.layers.Activation("linear", dtype="float32", name=f"{variant}_logits")(logits)
    model = keras.Model(image, outputs)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    return model, optimizer

rng = np.random.default_rng(0)
images = tf.constant(rng.uniform(-1, 1, [2, 33, 33, 3]), tf.float32)
labels = tf.constant(rng.integers(0, 3, [2, 33, 33]), tf.int32)
for replicas, strategy in ((1, "one_device"), (2, "mirrored")):
    strategies.make_deterministic(3)
    strategies.set_precision("mixed_bfloat16")
    strategy = strategies.create_strategy(strategy)
    assert strategy.num_replicas_in_sync == replicas
    with strategy.scope():
        model, optimizer = model_and_optimizer(BatchNorm(momentum=0.9))

    def replica_step(images, labels):
        with tf.GradientTape() as tape:
            found = model(images, training=True)
            loss = 0.0
            for x in found.values():
                small = resize_labels(labels, x.shape[1:3])
                loss += tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(small, x))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    for _ in range(2):  # not compiled: the operations are the same, and the graph of all heads would take minutes
        strategy.run(replica_step, args=(images, labels))
    weights = {weight.name: weight.numpy() for weight in model.weights}
    np.savez(f"{sys.argv[1]}/{replicas}.npz", **{name.replace("/", "|"): value for name, value in weights.items()})
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What two processes leave: the weights of all heads after two steps, <replicas>.npz."""
    folders = [tmp_path_factory.mktemp("run") for _ in range(2)]
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), *HEADS]) for folder in folders]
    try:
        assert [process.wait(timeout=1500) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    return folders


@pytest.fixture(scope="module", params=(1, 2))
def two_runs(request, folders):
    """The weights of all heads after two steps on one device or two, in two processes."""
    return [dict(np.load(folder / f"{request.param}.npz")) for folder in folders]


@pytest.mark.parametrize("head", HEADS)
def test_a_head_trains_to_the_same_weights_in_another_process(head, two_runs):
    """With synchronized normalization, dropout and mixed precision, on one device and on two."""
    first, second = two_runs
    names = [name for name in first if name.startswith((f"{head}|", f"{head}_bottleneck|", f"{head}_classifier|"))]
    assert len(names) > 4
    for name in names:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def traced(layer):
    step = tf.function(lambda x: layer(x, training=True))
    return step.get_concrete_function(tf.TensorSpec([2, 4, 4, 3]))


@pytest.mark.parametrize(
    "layer", [keras.layers.Dropout(0.5, name="plain"), keras.layers.GaussianNoise(1.0, name="plain")]
)
def test_a_generator_outside_of_checkpoints_is_refused_by_name(layer):
    with pytest.raises(ValueError, match=r"cannot be deterministic with plain/.*\(Random\w+\), which draws numbers"):
        check_repeatable(traced(layer), "CPU")


@pytest.mark.parametrize("layer", [Dropout(0.5), DropPath(0.5)])
def test_our_own_dropout_is_taken(layer):
    check_repeatable(traced(layer), "GPU")


def test_what_a_gpu_computes_in_no_order_is_refused_there_only():
    @tf.function(input_signature=[tf.TensorSpec([1, 4, 4, 1])])
    def nearest_gradient(x):
        return tf.gradients(tf.raw_ops.ResizeNearestNeighbor(images=x, size=[8, 8]), x)

    check_repeatable(nearest_gradient.get_concrete_function(), "CPU")
    with pytest.raises(ValueError, match=r"\(ResizeNearestNeighborGrad\), which has no deterministic implementation"):
        check_repeatable(nearest_gradient.get_concrete_function(), "GPU")


def test_operations_are_found_in_called_functions():
    inner = tf.function(lambda x: tf.numpy_function(np.negative, [x], tf.float32))
    outer = tf.function(lambda x: tf.cond(x > 0, lambda: inner(x), lambda: x))
    found = operations(outer.get_concrete_function(tf.TensorSpec([])), ON_THE_HOST)
    assert [kind for _, kind in found] == ["PyFunc"]
    assert device_type(tf.distribute.OneDeviceStrategy("/cpu:0")) == "CPU"
