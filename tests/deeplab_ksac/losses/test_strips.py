"""Losses in strips: the values and gradients of the whole map, which is never held."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.losses import build_objective, strips
from deeplab_ksac.losses.reading import before_resize
from deeplab_ksac.losses.strips import Strips
from deeplab_ksac.model import build_model, with_small_logits
from deeplab_ksac.tensor_ops.maps import resize_bilinear
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.replicas import two_replicas

K, SMALL, SIZE = 80, (5, 9), (67, 129)  # two strips for two or three images; they cross images, the last is filled up
WEIGHTS = tuple(np.linspace(0.0, 2.0, K))
PARTS = (
    part("cross_entropy", class_weights=WEIGHTS),
    part("cross_entropy", label_smoothing=0.1, output="aux_logits", weight=0.4),
    part("focal", gamma=1.5, class_weights=WEIGHTS),
    part("ohem", threshold=0.02, min_kept=3000),
)


def batch(images=3, dtype="float32"):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, K, (images, *SIZE))
    labels[rng.random(labels.shape) < 0.3] = 255
    labels[1] = 255
    return tf.constant(rng.normal(size=(images, *SMALL, K)) * 3, dtype), tf.constant(labels, tf.int32)


def judged(objective, small, labels, in_strips=True, replicas=1):
    """The terms, and the gradient of their sum by the small logits."""
    with tf.GradientTape() as tape:
        tape.watch(small)
        large = resize_bilinear(tf.cast(small, tf.float32), labels.shape[1:])
        outputs = {"logits": large, "aux_logits": large}
        outputs |= {before_resize(name): small for name in tuple(outputs)} if in_strips else {}
        terms = objective(outputs, labels)
        total = tf.add_n(list(terms.values())) / replicas
    return terms, tape.gradient(total, small)


def assert_rounded(found, expected, precision=2.0**-23):
    """Interpolating a logit takes three roundings each way, of numbers below 16; a loss moves by no more than twice as
    much as its logits, its slope by as much in proportion, and a small logit's is a sum over 256 pixels: the
    roundings of half of them, if they all had one sign."""
    logits = 2 * 2 * 3 * 16 * precision
    for name, value in expected[0].items():
        np.testing.assert_allclose(found[0][name], value, rtol=0, atol=logits, err_msg=name)
    largest = np.abs(expected[1]).max()
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=(logits + 128 * precision) * largest)


@pytest.mark.parametrize("loss", PARTS, ids=lambda loss: loss.name)
def test_strips_have_the_loss_and_the_gradient_of_the_whole_map(loss):
    small, labels = batch()
    objective = build_objective((loss,), K)
    assert Strips.between(small, labels).count == 2
    expected = judged(objective, small, labels, in_strips=False)
    assert float(tf.reduce_max(tf.abs(expected[1]))) > 0
    assert_rounded(judged(objective, small, labels), expected)


@pytest.mark.parametrize("images, strips", ((3, 0), (6, 2)))
@pytest.mark.parametrize("loss", PARTS, ids=lambda loss: loss.name)
def test_of_a_stride_only_the_pixels_that_count_are_interpolated(loss, images, strips):
    """Corners are aligned: what lies between is left out, nothing is moved, and the values are the whole map's."""
    small, labels = batch(images)
    objective = build_objective((dataclasses.replace(loss, args={**loss.args, "stride": 2}),), K)
    found = Strips.between(small, labels[:, ::2, ::2])
    assert (found.count if found else 0) == strips
    assert_rounded(judged(objective, small, labels), judged(objective, small, labels, in_strips=False))


def test_half_logits_are_interpolated_in_float32():
    small, labels = batch(dtype="float16")
    objective = build_objective(PARTS, K)
    found, expected = judged(objective, small, labels), judged(objective, small, labels, in_strips=False)
    assert found[1].dtype == tf.float16
    assert_rounded((found[0], tf.cast(found[1], tf.float32)), (expected[0], tf.cast(expected[1], tf.float32)), 2.0**-10)


def test_without_a_label_the_loss_is_0_and_its_gradient_too():
    small, labels = batch()
    terms, gradient = judged(build_objective(PARTS, K), small, tf.fill(labels.shape, 255))
    assert [float(value) for value in terms.values()] == [0, 0, 0, 0]
    np.testing.assert_array_equal(gradient, tf.zeros_like(small))


def test_two_replicas_have_the_losses_and_gradients_of_one():
    small, labels = batch(images=4)
    objective, strategy = build_objective(PARTS, K), two_replicas()
    expected = judged(objective, small, labels)

    def share(context):
        half = slice(2 * context.replica_id_in_sync_group, 2 * context.replica_id_in_sync_group + 2)
        return small[half], labels[half]

    shares = strategy.experimental_distribute_values_from_function(share)
    terms, halves = strategy.run(tf.function(lambda pair: judged(objective, *pair, replicas=2)), args=(shares,))
    ours = tf.concat(strategy.experimental_local_results(halves), 0)
    assert_rounded(({name: strategy.reduce("MEAN", value, None) for name, value in terms.items()}, ours), expected)


def traced(in_strips, **options):
    small, labels = batch()
    objective = build_objective(PARTS[:1], K)
    return tf.function(lambda small: judged(objective, small, labels, in_strips), **options), small


def largest(function, small):
    """The most numbers in a tensor that the results are computed from."""
    found, waiting = set(), [output.op for output in function.get_concrete_function(small).outputs]
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [each.op for each in op.inputs] + list(op.control_inputs)
    return max(output.shape.num_elements() or 0 for op in found for output in op.outputs)


def test_the_whole_map_is_never_held():
    whole = 3 * SIZE[0] * SIZE[1] * K
    assert largest(*traced(in_strips=False)) == whole
    assert largest(*traced(in_strips=True)) < whole / 8


def test_xla_compiles_it_and_the_results_repeat_bit_for_bit():
    function, small = traced(in_strips=True)
    first, second = function(small), function(small)
    np.testing.assert_array_equal(first[1], second[1])
    assert_rounded(traced(in_strips=True, jit_compile=True)[0](small), first)


def test_the_training_step_takes_strips(monkeypatch):
    """Of logits that are many; the model's own outputs stay as they are."""
    spec = ModelSpec(
        backbone=TINY_BACKBONE, head=part("fcn", filters=4), bottleneck={"filters": 4}, auxiliary={"filters": 4}
    )
    rng = np.random.default_rng(0)
    image = tf.constant(rng.uniform(0, 255, (2, 97, 97, 3)), tf.float32)
    labels = tf.constant(rng.integers(0, K, (2, 97, 97)), tf.int32)
    results = []
    for most in (strips.STRIP_BYTES, 2**40):
        monkeypatch.setattr(strips, "STRIP_BYTES", most)
        keras.utils.set_random_seed(0)
        with tiny_backbone_known():
            model = build_model(spec, K)
        objective = build_objective(PARTS[:2], K)
        objective.build(model.output)
        # so large that the weights, which round what is taken from them, are small beside it
        optimizer = build_optimizer(part("sgd", learning_rate=1e4, momentum=0.0), 3)
        step = TrainStep(model, objective, optimizer, tf.distribute.get_strategy())
        before = model.get_weights()
        terms = step({"image": image, "labels": labels})
        results.append((terms, np.concatenate([(a - b).ravel() for a, b in zip(before, model.get_weights())])))
    assert set(model.output) == {"logits", "aux_logits", "features"}
    small = with_small_logits(model)(image)
    for name in ("logits", "aux_logits"):
        resized = resize_bilinear(small[before_resize(name)], (97, 97))
        np.testing.assert_array_equal(resized, small[name])
    assert_rounded(*results)
