"""The step: parts of a batch, clipping, several steps in a call, averages, and the loss scale of float16."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.training.averaging import MovingAverages
from deeplab_ksac.training.optimizers import LOWEST_SCALE, build_optimizer
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy
from tests.replicas import two_replicas

K = 3
MEANS = (
    part("cross_entropy", label_smoothing=0.1, class_weights=(1.0, 2.0, 0.5)),
    part("focal", class_weights=(1.0, 2.0, 0.5)),
)
ADAM = part("adam", learning_rate=0.01)


def pictures():
    """Eight pictures; three have no label, the others more or fewer."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(8, 5, 5, 3)).astype("float32"), rng.integers(0, K, (8, 5, 5)).astype("int32")
    labels[[0, 1, 6]] = 255
    labels[2, 1:] = 255
    return images, labels


def iterator(strategy, factor=1.0):
    """Batches of all eight, for ever; the values of the first are multiplied."""
    images, labels = pictures()
    images[0] *= factor

    def dataset(context):
        data = tf.data.Dataset.from_tensor_slices({"image": images, "labels": labels}).repeat()
        return data.batch(8 // context.num_replicas_in_sync, drop_remainder=True)

    return iter(strategy.distribute_datasets_from_function(dataset))


WARMED_UP = part("cosine", warmup_steps=2, warmup_from=0.5)


def make(strategy, *, losses=MEANS, optimizer=ADAM, schedule=WARMED_UP, norm=False, dtype=None, decay=0.0, **options):
    """A small model and its step."""
    with strategy.scope():
        image = keras.Input((5, 5, 3))
        x = keras.layers.Conv2D(4, 3, dtype=dtype, kernel_initializer=keras.initializers.GlorotUniform(1))(image)
        x = keras.layers.BatchNormalization(dtype=dtype)(x) if norm else x
        x = keras.layers.Conv2D(K, 1, dtype=dtype, kernel_initializer=keras.initializers.GlorotUniform(2))(x)
        x = keras.layers.ZeroPadding2D(1, dtype="float32")(x)
        model = keras.Model(image, {"logits": x})
        built = build_optimizer(optimizer, 8, schedule)
        averages = MovingAverages(model, decay) if decay else None
        objective = build_objective(losses, K)
        objective.build(model.output)
    return model, TrainStep(model, objective, built, strategy, averages=averages, **options)


@pytest.fixture(scope="module")
def one():
    return create_strategy("one_device")


@pytest.fixture(scope="module")
def two():
    return two_replicas()


@pytest.fixture(scope="module")
def plain(one):
    """Terms and weights of two steps on whole batches, by SGD: in proportion to the gradients."""
    return two_steps(one)


def two_steps(strategy, **options):
    model, step = make(strategy, optimizer=part("sgd", learning_rate=0.5), l2=1e-2, **options)
    batches = iterator(strategy)
    terms = [{name: float(value) for name, value in step(next(batches)).items()} for _ in range(2)]
    return terms, model.get_weights()


@pytest.mark.parametrize("replicas, accumulate", ((1, 2), (2, 2)))
def test_parts_of_a_batch_make_the_step_of_the_whole(plain, request, replicas, accumulate):
    strategy = request.getfixturevalue("one" if replicas == 1 else "two")
    terms, weights = two_steps(strategy, accumulate=accumulate)
    for ours, expected in zip(terms, plain[0]):
        assert ours == pytest.approx(expected, rel=1e-5)
    for ours, expected in zip(weights, plain[1]):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_mean_of_pixels_and_what_it_measures_are_means_over_the_parts(one):
    model, step = make(one, losses=(part("class_aware", output="logits"),), accumulate=2)
    images, labels = map(tf.constant, pictures())
    parts = []
    for half in (slice(4), slice(4, 8)):
        outputs = model(images[half], training=True)
        parts.append({**step.objective(outputs, labels[half]), **step.objective.diagnose(outputs, labels[half])})
    terms = step(next(iterator(one)))
    assert len(parts[0]) == 5
    for name in parts[0]:
        assert float(terms[name]) == pytest.approx(np.mean([float(each[name]) for each in parts]), rel=1e-5)


def test_a_plateau_sees_the_losses_and_not_the_l2(one):
    _, step = make(one, schedule=part("plateau", interval=10), l2=1.0)
    terms = {name: float(value) for name, value in step(next(iterator(one))).items()}
    losses = [value for name, value in terms.items() if name not in ("l2", "loss")]
    assert len(losses) == 2 and terms["l2"] > 0.1
    assert float(step.optimizer.plateau.state["total"]) == pytest.approx(sum(losses), rel=1e-5)


def test_a_share_that_has_no_equal_parts_is_refused(two):
    _, step = make(two, accumulate=3)
    with pytest.raises(ValueError, match="a replica's 4 examples of a batch cannot be split into 3 equal parts"):
        step(next(iterator(two)))


def test_clipping_shortens_the_gradient_of_all_replicas_together(one, two):
    images, labels = map(tf.constant, pictures())
    model, _ = make(one)
    with tf.GradientTape() as tape:
        (loss,) = build_objective(MEANS[:1], K)(model(images, training=True), labels).values()
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, model.trainable_variables)]
    norm = np.sqrt(sum(np.sum(gradient.astype("float64") ** 2) for gradient in gradients))
    limit = float(norm) / 3
    clipped, step = make(two, losses=MEANS[:1], optimizer=part("sgd", learning_rate=0.5, momentum=0.0), clip_norm=limit)
    before = clipped.get_weights()
    terms = step(next(iterator(two)))
    assert float(terms["gradient_norm"]) == pytest.approx(norm, rel=1e-5)
    for old, new, gradient in zip(before, clipped.get_weights(), gradients):  # the rate at step 0 is half of 0.5
        np.testing.assert_allclose(old - new, 0.25 / 3 * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strategy", ("one", "two"))
def test_several_steps_in_a_call_are_the_same_bit_for_bit(strategy, request):
    strategy = request.getfixturevalue(strategy)
    # Two terms: of three or more, TensorFlow adds in any order unless operations are made deterministic.
    options = {"losses": MEANS[:1], "l2": 1e-3, "norm": True, "decay": 0.5, "clip_norm": 0.3}
    (single, step), (several, steps) = make(strategy, **options), make(strategy, **options)
    batches, others = iterator(strategy), iterator(strategy)
    terms = [step(next(batches)) for _ in range(5)]
    calls = [steps.run(others, 2), steps.run(others, 3)]
    for name in terms[0]:
        joined = np.concatenate([call[name].numpy() for call in calls])
        np.testing.assert_array_equal(joined, [float(term[name]) for term in terms])
    for ours, expected in zip(several.get_weights(), single.get_weights()):
        np.testing.assert_array_equal(ours, expected)
    for ours, expected in zip(steps.averages.values, step.averages.values):
        np.testing.assert_array_equal(ours.numpy(), expected.numpy())


def test_averages_follow_all_weights_and_give_them_back(two):
    model, step = make(two, norm=True, decay=0.15)
    batches, expected = iterator(two), None
    for number in range(4):
        step(next(batches))
        decay = min(0.15, number / (number + 10))
        weights = [weight.astype("float64") for weight in model.get_weights()]
        expected = weights if expected is None else [decay * e + (1 - decay) * w for e, w in zip(expected, weights)]
    for average, value in zip(step.averages.values, expected):
        np.testing.assert_allclose(average.numpy(), value, rtol=1e-5, atol=1e-6)
    before = model.get_weights()
    with step.averages.in_place(model, two):
        for weight, average in zip(model.get_weights(), step.averages.values):
            np.testing.assert_array_equal(weight, average.numpy())
    for ours, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(ours, old)


def test_a_decay_of_averages_without_sense_is_refused():
    with pytest.raises(ValueError, match=r"decay must be a number in \(0, 1\), not 1"):
        MovingAverages(None, 1)


@pytest.fixture
def half():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("strategy", ("one", "two"))
def test_a_scale_too_high_skips_steps_until_it_is_not(half, strategy, request):
    strategy = request.getfixturevalue(strategy)
    model, step = make(strategy, dtype="mixed_float16", optimizer=part("adamw", learning_rate=0.01))
    batches, before, skipped = iterator(strategy), model.get_weights(), 0
    step.loss_scale.scale.assign(2.0**22)
    for number in range(12):
        terms = {name: float(value) for name, value in step(next(batches)).items()}
        assert terms["loss_scale"] == 2.0 ** (22 - number)
        if not terms["skipped"]:
            break
        skipped += 1
        assert not np.isfinite(terms["gradient_norm"])
        for ours, old in zip(model.get_weights(), before):
            np.testing.assert_array_equal(ours, old)
    assert 0 < skipped < 11 and np.isfinite(terms["gradient_norm"])
    assert not np.array_equal(model.get_weights()[0], before[0])
    assert int(step.optimizer.iterations.numpy()) == skipped + 1


@pytest.mark.parametrize("strategy", ("one", "two"))
def test_a_forward_pass_that_overflows_leaves_statistics_and_centers_as_they_were(half, strategy, request):
    strategy = request.getfixturevalue(strategy)
    centers = part("class_aware", output="logits", moving_average=0.5, terms=("inter_c2p",))
    model, step = make(strategy, losses=(MEANS[0], centers), dtype="mixed_float16", norm=True, decay=0.5)

    def states():
        kept = (*model.non_trainable_variables, *step.objective.variables)
        return [local.numpy() for variable in kept for local in strategy.experimental_local_results(variable)]

    good, bad = next(iterator(strategy)), next(iterator(strategy, factor=1e6))  # float16 ends at 65,504
    begun = states()
    assert len(begun) == 3 * strategy.num_replicas_in_sync and float(step(good)["skipped"]) == 0
    before = states()
    assert not any(np.array_equal(ours, first) for ours, first in zip(before, begun))
    assert float(step(bad)["skipped"]) == 1
    for ours, old in zip(states(), before):
        np.testing.assert_array_equal(ours, old)
    assert all(np.isfinite(average.numpy()).all() for average in step.averages.values)
    assert float(step(good)["skipped"]) == 0
    assert not any(np.array_equal(ours, old) for ours, old in zip(states(), before))


def test_what_is_not_finite_at_the_lowest_scale_is_divergence(half, one):
    model, step = make(one, dtype="mixed_float16")
    model.trainable_variables[0].assign(tf.fill(model.trainable_variables[0].shape, 1e30))
    step.loss_scale.scale.assign(2 * LOWEST_SCALE)
    batches = iterator(one)
    assert float(step(next(batches))["skipped"]) == 1
    terms = step(next(batches))
    assert float(terms["skipped"]) == 0 and not np.isfinite(float(terms["gradient_norm"]))


def test_float16_trains_to_nearly_the_same_weights(half, one, plain):
    model, step = make(one, optimizer=part("sgd", learning_rate=0.5), l2=1e-2, dtype="mixed_float16")
    step.loss_scale.scale.assign(64.0)
    batches = iterator(one)
    assert [float(step(next(batches))["skipped"]) for _ in range(2)] == [0, 0]
    for ours, expected in zip(model.get_weights(), plain[1]):
        np.testing.assert_allclose(ours, expected, atol=0.0025)  # as below, rounded to 11 bits


def test_clipping_in_float16_is_of_the_gradient_without_its_scale(half, one):
    plain, limit = part("sgd", learning_rate=0.5, momentum=0.0), 0.05
    _, exact = make(one, optimizer=plain, dtype="float32", clip_norm=limit)
    model, step = make(one, optimizer=plain, dtype="mixed_float16", clip_norm=limit)
    for each in (exact, step):
        each.loss_scale.scale.assign(64.0)
    before = model.get_weights()
    norms = [float(each(next(iterator(one)))["gradient_norm"]) for each in (exact, step)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-2) and norms[1] > 2 * limit
    moved = np.sqrt(sum(np.sum((new - old) ** 2) for new, old in zip(model.get_weights(), before)))
    assert moved == pytest.approx(0.25 * limit, rel=1e-3)  # the rate at step 0 is half of 0.5


def test_bfloat16_trains_to_nearly_the_same_weights(one, plain):
    _, weights = two_steps(one, dtype="mixed_bfloat16")
    for ours, expected in zip(weights, plain[1]):
        np.testing.assert_allclose(ours, expected, atol=0.02)  # gradients of order 1, rounded to 8 bits, times 0.75
