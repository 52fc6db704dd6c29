"""Losses against their sums."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import part
from deeplab_ksac.losses import CrossEntropy, Objective, build_objective


def literal_cross_entropy(logits, labels):
    """The mean over the labelled pixels of -log softmax at the label."""
    total, count = 0.0, 0
    for pixel, label in zip(logits.reshape(-1, logits.shape[-1]).astype("float64"), labels.ravel()):
        if 0 <= label < logits.shape[-1]:
            total -= pixel[label] - np.log(np.sum(np.exp(pixel)))
            count += 1
    return total / count if count else 0.0


@pytest.mark.parametrize("ignored", (0.0, 0.5, 1.0))
def test_cross_entropy_is_the_mean_over_labelled_pixels(ignored):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 5, 7, 4)).astype("float32"), rng.integers(0, 4, (2, 5, 7))
    labels = np.where(rng.random(labels.shape) < ignored, 255, labels).astype("int32")
    terms = CrossEntropy()({"logits": tf.constant(logits)}, tf.constant(labels))
    assert list(terms) == ["cross_entropy/logits"]
    assert float(terms["cross_entropy/logits"]) == pytest.approx(literal_cross_entropy(logits, labels), rel=1e-5)


def test_an_image_without_labels_has_no_loss_and_a_finite_gradient():
    logits = tf.Variable(tf.random.normal([1, 3, 3, 2]))
    with tf.GradientTape() as tape:
        (loss,) = CrossEntropy()({"logits": logits}, tf.fill([1, 3, 3], 255)).values()
    assert float(loss) == 0
    np.testing.assert_array_equal(tape.gradient(loss, logits), np.zeros((1, 3, 3, 2)))


def test_half_precision_logits_are_judged_in_float32():
    (loss,) = CrossEntropy()(
        {"logits": tf.zeros([1, 200, 200, 2], tf.float16)}, tf.zeros([1, 200, 200], tf.int32)
    ).values()
    assert float(loss) == pytest.approx(np.log(2), rel=1e-5)  # a float16 sum of 40,000 would overflow


def test_a_loss_reads_the_output_it_names():
    objective = build_objective(
        (part("cross_entropy"), part("cross_entropy", output="aux_logits", weight=0.4)), num_classes=2
    )
    outputs = {"logits": tf.zeros([1, 2, 2, 2]), "aux_logits": tf.zeros([1, 2, 2, 2])}
    terms = objective(outputs, tf.zeros([1, 2, 2], tf.int32))
    assert float(terms["cross_entropy/aux_logits"]) == pytest.approx(0.4 * np.log(2))
    assert float(terms["cross_entropy/logits"]) == pytest.approx(np.log(2))


def test_two_losses_of_one_name_are_refused():
    objective = Objective([CrossEntropy(), CrossEntropy()])
    with pytest.raises(ValueError, match="two losses give the term 'cross_entropy/logits'"):
        objective({"logits": tf.zeros([1, 2, 2, 2])}, tf.zeros([1, 2, 2], tf.int32))


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"weight must be a number in \(0, inf\), not 0"):
        CrossEntropy(weight=0)
