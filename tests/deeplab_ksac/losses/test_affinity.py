"""The affinity loss."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.losses.affinity import AffinityLoss
from tests.literal.affinity import affinity_loss


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("size", "prior_size"), [((3, 5), (3, 5)), ((5, 3), (2, 3))])
def test_the_terms_are_those_of_the_paper(size, prior_size):
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 255], size=[2, 9, 13]).astype("int32")
    logits = rng.normal(size=[2, *size, *prior_size]).astype("float32")
    terms = AffinityLoss(num_classes=3)({"affinity": logits}, labels)

    def nearest(image, height, width):
        rows = [round(i * 8 / max(height - 1, 1)) for i in range(height)]
        columns = [round(j * 12 / max(width - 1, 1)) for j in range(width)]
        return image[np.ix_(rows, columns)].ravel()

    expected = [
        affinity_loss(
            sigmoid(x.reshape([np.prod(size), -1]).astype("float64")),
            nearest(image, *size),
            nearest(image, *prior_size),
            3,
        )
        for x, image in zip(logits, labels)
    ]
    unary, whole = np.mean(expected, axis=0)
    np.testing.assert_allclose([terms["affinity/unary"], terms["affinity/global"]], [unary, whole], rtol=1e-5)


def test_a_weight_multiplies_both_terms_and_labels_below_0_are_ignored():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 255], size=[1, 3, 4]).astype("int32")
    outputs = {"affinity": rng.normal(size=[1, 3, 4, 3, 4]).astype("float32")}
    expected = AffinityLoss(num_classes=2)(outputs, labels)
    found = AffinityLoss(weight=0.5, num_classes=2)(outputs, np.where(labels == 255, -1, labels))
    assert {name: float(value) for name, value in found.items()} == {
        name: 0.5 * float(value) for name, value in expected.items()
    }


def test_a_perfect_prior_costs_nothing():
    labels = np.random.default_rng(0).integers(0, 3, [2, 3, 4]).astype("int32")
    flat = labels.reshape([2, -1])
    same = flat[:, :, np.newaxis] == flat[:, np.newaxis]
    logits = np.where(same, 30.0, -30.0).reshape([2, 3, 4, 3, 4]).astype("float32")
    terms = AffinityLoss()({"affinity": logits}, labels)
    np.testing.assert_allclose(list(terms.values()), [0, 0], atol=1e-6)


def test_ignored_pixels_have_no_part_in_it():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 255], size=[1, 3, 4]).astype("int32")
    logits = rng.normal(size=[1, 3, 4, 3, 4]).astype("float32")
    ignored = labels == 255
    changed = np.where(ignored[..., None, None] | ignored[:, None, None], 7.0, logits).astype("float32")
    assert ignored.any()
    for first, second in zip(*(AffinityLoss()({"affinity": x}, labels).values() for x in (logits, changed))):
        assert float(first) == float(second)


@pytest.mark.parametrize("label", [0, 255])
def test_one_class_alone_or_none_gives_finite_terms_and_gradients(label):
    logits = tf.Variable(tf.random.stateless_normal([1, 2, 3, 2, 3], [0, 0]))
    with tf.GradientTape() as tape:
        terms = AffinityLoss()({"affinity": logits}, tf.fill([1, 4, 6], label))
        total = tf.add_n(list(terms.values()))
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, logits)).all()


def test_half_precision_affinities_are_judged_in_float32_and_unknown_sizes_too():
    loss = AffinityLoss(weight=0.5)
    spec = [tf.TensorSpec([None, None, None, 2, 3], tf.float16), tf.TensorSpec([None, None, None], tf.int32)]
    terms = tf.function(lambda a, labels: loss({"affinity": a}, labels), input_signature=spec)(
        tf.zeros([1, 2, 3, 2, 3], tf.float16), tf.zeros([1, 4, 6], tf.int32)
    )
    assert all(value.dtype == tf.float32 for value in terms.values())
    np.testing.assert_allclose(terms["affinity/unary"], 0.5 * np.log(2), rtol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"weight must be a number in \(0, inf\), not -1"):
        AffinityLoss(weight=-1)
    with pytest.raises(ValueError, match="num_classes must be an integer of at least 1, not 0"):
        AffinityLoss(num_classes=0)
