"""Losses against their sums."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareRegularizer
from deeplab_ksac.experiment import part
from deeplab_ksac.losses import LOSSES, ClassAware, CrossEntropy, Objective, build_objective


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
    with pytest.raises(ValueError, match="two losses have a term named 'cross_entropy/logits'"):
        objective({"logits": tf.zeros([1, 2, 2, 2])}, tf.zeros([1, 2, 2], tf.int32))


@pytest.mark.parametrize("output", ("nope", 3, ("logits",), {"a": 1}, None))
def test_a_loss_of_an_output_that_the_model_has_not_is_named(output):
    objective = build_objective((part("dice"), part("cross_entropy", output=output)), 2)
    with pytest.raises(ValueError, match=r"^losses\[1\]: output must be one of logits, features, not "):
        objective.build({"logits": tf.zeros([1, 2, 2, 2]), "features": tf.zeros([1, 2, 2, 4])})


OUTPUTS = {
    "logits": tf.zeros([1, 8, 8, 2]),
    "features": tf.zeros([1, 2, 2, 4]),
    "aux_logits": tf.zeros([1, 8, 8, 2]),
    "branches": (tf.zeros([1, 2, 2, 4]), tf.zeros([1, 2, 2, 4])),
    "affinity": tf.zeros([1, 2, 2, 3, 3]),
}
OF_PIXELS = sorted(set(LOSSES) - {"class_aware", "affinity"})


@pytest.mark.parametrize(
    ("name", "output", "fitting"),
    [
        *((name, output, ["logits", "aux_logits"]) for name in OF_PIXELS for output in OUTPUTS),
        *(("class_aware", output, ["logits", "features", "aux_logits", "branches"]) for output in OUTPUTS),
        *(("affinity", output, ["affinity"]) for output in OUTPUTS),
    ],
)
def test_a_loss_of_an_output_that_it_cannot_read_is_named_with_those_that_it_can(name, output, fitting):
    objective = build_objective((part("dice"), part(name, output=output)), 2)
    if output in fitting:
        objective.build(OUTPUTS)
        assert objective.losses[1](OUTPUTS, tf.zeros([1, 8, 8], tf.int32))
        return
    words = rf"^losses\[1\]: output must be one of {', '.join(fitting)}, .*\], not {output!r}$|or a tuple of such, not"
    with pytest.raises(ValueError, match=words):
        objective.build(OUTPUTS)


def test_a_loss_that_no_output_fits_says_so():
    objective = build_objective((part("affinity", output="logits"),), 2)
    with pytest.raises(
        ValueError, match=r"^losses\[0\]: output must be an output that this model does not have, an aff"
    ):
        objective.build({"logits": tf.zeros([1, 2, 2, 2])})


@pytest.mark.parametrize("value", ("1,2", 3, {"a": 1.0}))
def test_weights_of_classes_are_several_numbers(value):
    with pytest.raises(ValueError, match="class_weights must be numbers, one for each class"):
        build_objective((part("cross_entropy", class_weights=value),), 2)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"weight must be a number in \(0, inf\), not 0"):
        CrossEntropy(weight=0)


NUMBERS = ("weight", "label_smoothing", "gamma", "threshold", "min_kept", "smooth")


@pytest.mark.parametrize("value", (float("nan"), float("inf"), True, "1", None))
@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"class_aware"}))
def test_an_argument_that_is_no_finite_number_is_refused(name, value):
    taken = [argument for argument in inspect.signature(LOSSES[name]).parameters if argument in NUMBERS]
    assert "weight" in taken
    for argument in taken:
        with pytest.raises(ValueError, match=f"{argument} must be (a number|an integer) .*, not {value!r}"):
            build_objective((part(name, **{argument: value}),), 3)


@pytest.mark.parametrize("value", (float("nan"), float("inf"), True, "1", -1.0))
def test_a_weight_of_a_class_that_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="class_weights must be finite, at least 0 and not all 0"):
        build_objective((part("cross_entropy", class_weights=(1.0, value)),), 2)


def test_the_defaults_of_class_aware_regularization_are_the_layers_own():
    ours, layers = (inspect.signature(each).parameters for each in (ClassAware, ClassAwareRegularizer))
    names = set(layers) - {"kwargs"}
    assert names == set(ours) - {"output", "predicted_from"} and len(names) > 5
    assert all(ours[name].default == layers[name].default for name in names)
