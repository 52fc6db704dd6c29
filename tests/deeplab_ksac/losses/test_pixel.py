"""Losses of pixels and classes against NumPy: ignored pixels, absent classes, weights, and replicas that make one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import part
from deeplab_ksac.losses import LOSSES, build_objective
from deeplab_ksac.losses.dice import Dice
from deeplab_ksac.losses.pixel import CrossEntropy, Focal, HardPixels
from tests.replicas import two_replicas

K = 4
PARTS = (
    part("cross_entropy", label_smoothing=0.1, class_weights=(1.0, 0.5, 2.0, 3.0)),
    part("focal", gamma=1.5, class_weights=(1.0, 0.5, 2.0, 3.0)),
    part("ohem", threshold=0.3, min_kept=30),
    part("dice", smooth=2.0),
)


def batch(ignored=0.3, seed=0, images=4):
    """Logits and labels; class 3 is nowhere, the second image has no label."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(images, 5, 7, K)) * 2, rng.integers(0, K - 1, (images, 5, 7))
    labels = np.where(rng.random(labels.shape) < ignored, 255, labels)
    labels[1] = 255
    return logits.astype("float32"), labels.astype("int32")


def probabilities(logits):
    powers = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def labelled(logits, labels):
    """The probabilities [P, K] and labels [P] of the labelled pixels."""
    return probabilities(logits)[labels < K], labels[labels < K]


def judge(loss, logits, labels):
    (value,) = loss({"logits": tf.constant(logits)}, tf.constant(labels)).values()
    return float(value)


def literal_cross_entropy(logits, labels, smoothing, weights):
    p, y = labelled(logits, labels)
    target = np.eye(K)[y] * (1 - smoothing) + smoothing / K
    losses = -(target * np.log(p)).sum(1)
    return (weights[y] * losses).sum() / weights[y].sum()


def literal_ohem(logits, labels, threshold, min_kept):
    p, y = labelled(logits, labels)
    own = np.sort(p[np.arange(len(y)), y])
    kept = [x for place, x in enumerate(own) if x < threshold or place < min_kept]
    return -np.mean(np.log(kept))


def literal_dice(logits, labels, smooth):
    p, y = labelled(logits, labels)
    found = []
    for k in sorted(set(y)):
        truth = y == k
        found.append((2 * (p[:, k] * truth).sum() + smooth) / (p[:, k].sum() + truth.sum() + smooth))
    return 1 - np.mean(found)


@pytest.mark.parametrize("smoothing", (0.0, 0.2))
@pytest.mark.parametrize("weights", (None, (1.0, 0.5, 2.0, 0.0)))
def test_cross_entropy_is_a_weighted_mean_against_smoothed_labels(smoothing, weights):
    logits, labels = batch()
    ours = judge(CrossEntropy(label_smoothing=smoothing, class_weights=weights, num_classes=K), logits, labels)
    expected = literal_cross_entropy(logits, labels, smoothing, np.ones(K) if weights is None else np.array(weights))
    assert ours == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", (0.0, 0.5, 2.0))
def test_focal_loss_is_its_equation(gamma):
    logits, labels = batch()
    p, y = labelled(logits, labels)
    own = p[np.arange(len(y)), y]
    assert judge(Focal(gamma=gamma), logits, labels) == pytest.approx(
        np.mean(-((1 - own) ** gamma) * np.log(own)), rel=1e-5
    )


@pytest.mark.parametrize("threshold, min_kept", ((0.3, 1), (0.05, 20), (1.0, 1), (0.3, 10_000)))
def test_ohem_keeps_what_is_below_the_threshold_and_at_least_so_many(threshold, min_kept):
    logits, labels = batch()
    ours = judge(HardPixels(threshold=threshold, min_kept=min_kept), logits, labels)
    assert ours == pytest.approx(literal_ohem(logits, labels, threshold, min_kept), rel=1e-5)


def test_ohem_has_no_gradient_where_a_pixel_is_easy():
    logits, labels = batch()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        (loss,) = HardPixels(threshold=0.3, min_kept=1)({"logits": variable}, tf.constant(labels)).values()
    moved = np.abs(tape.gradient(loss, variable).numpy()).sum(-1) > 0
    own = np.take_along_axis(probabilities(logits), np.where(labels < K, labels, 0)[..., None], -1)[..., 0]
    np.testing.assert_array_equal(moved, (labels < K) & (own < 0.3))


@pytest.mark.parametrize("smooth", (0.0, 1.0))
def test_dice_is_the_mean_over_the_classes_that_are_there(smooth):
    logits, labels = batch()
    assert judge(Dice(smooth=smooth), logits, labels) == pytest.approx(literal_dice(logits, labels, smooth), rel=1e-5)


@pytest.mark.parametrize("loss", PARTS, ids=lambda loss: loss.name)
def test_a_weight_multiplies_the_term(loss):
    logits, labels = batch()
    whole, half = (
        judge(build_objective((dataclasses.replace(loss, args={**loss.args, **changes}),), K), logits, labels)
        for changes in ({}, {"weight": 0.5})
    )
    assert half == 0.5 * whole > 0


@pytest.mark.parametrize("loss", PARTS, ids=lambda loss: loss.name)
def test_labels_below_0_are_ignored_as_those_above_the_classes(loss):
    logits, labels = batch()
    (judged,) = build_objective((loss,), K).losses
    below = np.where(labels == 255, -1, labels)
    assert judge(judged, logits, below) == judge(judged, logits, labels)
    if hasattr(judged, "mass"):
        assert float(judged.mass(tf.constant(below))) == float(judged.mass(tf.constant(labels)))


@pytest.mark.parametrize("loss", PARTS, ids=lambda loss: loss.name)
def test_without_a_label_the_loss_is_0_and_its_gradient_too(loss):
    variable = tf.Variable(batch()[0])
    with tf.GradientTape() as tape:
        (value,) = build_objective((loss,), K)({"logits": variable}, tf.fill([4, 5, 7], 255)).values()
    assert float(value) == 0
    np.testing.assert_array_equal(tape.gradient(value, variable), np.zeros(variable.shape))


@pytest.mark.parametrize("loss", (*PARTS, part("focal", gamma=0.5)), ids=lambda loss: loss.name)
def test_certain_pixels_have_finite_gradients(loss):
    """Probabilities of exactly 1 and 0, right and wrong, in float16 logits."""
    labels = np.array([[[0, 0, 1, 2]]], "int32")
    variable = tf.Variable(np.array([[[[6e4, 0, 0, 0], [-6e4, 0, 0, 0], [0, 6e4, 0, 0], [0, 0, 0, 6e4]]]], "float16"))
    with tf.GradientTape() as tape:
        (value,) = build_objective((loss,), K)({"logits": variable}, tf.constant(labels)).values()
    assert np.isfinite(float(value)) and np.all(np.isfinite(tape.gradient(value, variable).numpy()))


def test_two_replicas_have_the_losses_and_gradients_of_one():
    logits, labels = batch()
    objective = build_objective(PARTS, K)

    def gradients(logits, labels, replicas):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            terms = objective({"logits": logits}, labels)
            total = tf.add_n(list(terms.values())) / replicas
        return terms, tape.gradient(total, logits)

    expected, gradient = gradients(tf.constant(logits), tf.constant(labels), 1)
    strategy = two_replicas()

    def share(context):
        half = slice(2 * context.replica_id_in_sync_group, 2 * context.replica_id_in_sync_group + 2)
        return tf.constant(logits[half]), tf.constant(labels[half])

    shares = strategy.experimental_distribute_values_from_function(share)
    terms, halves = strategy.run(tf.function(lambda pair: gradients(*pair, 2)), args=(shares,))
    ours = np.concatenate([half.numpy() for half in strategy.experimental_local_results(halves)])
    np.testing.assert_allclose(ours, gradient, rtol=1e-5, atol=1e-7)
    for name, value in expected.items():
        np.testing.assert_allclose(float(strategy.reduce("MEAN", terms[name], None)), float(value), rtol=1e-6)


def test_the_parts_of_a_batch_add_up_to_the_mean_of_the_whole():
    logits, labels = batch()
    objective = build_objective(PARTS[:2], K)
    halves = [slice(0, 2), slice(2, 4)]
    shares = objective.shares([tf.constant(labels[half]) for half in halves])
    whole = objective({"logits": tf.constant(logits)}, tf.constant(labels))
    parts = [
        objective({"logits": tf.constant(logits[half])}, tf.constant(labels[half]), row)
        for half, row in zip(halves, tf.unstack(shares))
    ]
    for name, value in whole.items():
        assert float(sum(part[name] for part in parts)) == pytest.approx(float(value), rel=1e-6)


@pytest.mark.parametrize("loss", PARTS[:3], ids=lambda loss: loss.name)
def test_of_a_stride_the_pixels_in_between_do_not_count(loss):
    logits, labels = batch()
    (plain,), (thinned,) = (
        build_objective((each,), K).losses
        for each in (loss, dataclasses.replace(loss, args={**loss.args, "stride": 2}))
    )
    assert judge(thinned, logits, labels) == judge(plain, logits[:, ::2, ::2], labels[:, ::2, ::2])
    assert float(thinned.mass(tf.constant(labels))) == float(plain.mass(tf.constant(labels[:, ::2, ::2])))
    with pytest.raises(ValueError, match="stride=2 wants sides of a multiple of it and one more, as 41, not 6"):
        judge(thinned, logits[:, :, :6], labels[:, :, :6])


@pytest.mark.parametrize(
    "name, arguments, words",
    (
        ("cross_entropy", {"label_smoothing": 1.0}, r"label_smoothing must be a number in \[0, 1\), not 1.0"),
        ("cross_entropy", {"class_weights": (1.0, 2.0)}, "class_weights must be 4, one for each class, not 2"),
        ("cross_entropy", {"class_weights": (0, 0, 0, 0)}, "class_weights must be finite, at least 0 and not all 0"),
        ("cross_entropy", {"stride": 0}, "stride must be an integer of at least 1, not 0"),
        ("focal", {"gamma": -1}, r"gamma must be a number in \[0, inf\), not -1"),
        ("focal", {"weight": float("nan")}, r"weight must be a number in \(0, inf\), not nan"),
        ("ohem", {"threshold": 0}, r"threshold must be a number in \(0, 1\], not 0"),
        ("ohem", {"min_kept": 0.5}, "min_kept must be an integer of at least 1, not 0.5"),
        ("dice", {"smooth": -1}, r"smooth must be a number in \[0, inf\), not -1"),
        ("dice", {"weight": 0}, r"weight must be a number in \(0, inf\), not 0"),
        (
            "ohem",
            {"class_weights": None},
            "'ohem' takes no 'class_weights'; it takes output, weight, stride, num_classes, threshold",
        ),
    ),
)
def test_an_argument_without_sense_is_refused(name, arguments, words):
    assert name in LOSSES
    with pytest.raises(ValueError, match=words):
        build_objective((part(name, **arguments),), K)
