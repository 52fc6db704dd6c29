"""Our SGDW, AdamW and LAMB against their papers in NumPy, and bit for bit against tensorflow-addons where it is."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.training import decoupled_optimizers
from deeplab_ksac.training.optimizers import build_optimizer, decoupled
from deeplab_ksac.training.schedules import build_schedule
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy

STEPS = 3
# all have few binary digits: Keras keeps hyperparameters in float32, and the comparison is in float64
RATE, DECAY, MOMENTUM, BETAS = 0.25, 1 / 64, 0.75, (0.75, 0.875)
ARGUMENTS = {
    "SGDW": {"momentum": MOMENTUM},
    "AdamW": {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": 1e-3},
    "LAMB": {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": 1e-3},
}
EVERY_ONE = pytest.mark.parametrize("name", sorted(ARGUMENTS))
SHAPES = ((3, 2), (4,), (5, 2))


@pytest.fixture(scope="module")
def addons():
    return pytest.importorskip("tensorflow_addons", reason="tensorflow-addons cannot be imported").optimizers


def beginning(dtype="float32"):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    return values, [[rng.normal(size=shape).astype(dtype) for shape in SHAPES] for _ in range(2 * STEPS)]


def make(module, name, dtype="float32", rate=RATE, decay=DECAY, **arguments):
    """Variables, their optimizer, and a compiled step of it."""
    variables = [tf.Variable(value, name=f"w{index}") for index, value in enumerate(beginning(dtype)[0])]
    arguments = {**ARGUMENTS[name], **arguments}
    optimizer = getattr(module, name)(learning_rate=rate, weight_decay=decay, **arguments)
    optimizer.iterations  # noqa: B018 (is made when it is first read)
    optimizer._create_all_weights(variables)

    @tf.function
    def step(gradients):
        optimizer.apply_gradients(zip(gradients, variables))

    return variables, optimizer, step


def sparse(gradient):
    """Rows 2, 0 and 2 again, as the gradient of a gather has them."""
    return tf.IndexedSlices(tf.constant(gradient[:3]), tf.constant([2, 0, 2]))


def take_steps(step, first, last, sparsely=False):
    for gradients in beginning()[1][first:last]:
        step([*map(tf.constant, gradients[:2]), sparse(gradients[2]) if sparsely else tf.constant(gradients[2])])


def literal(name, w, gradients, decay=DECAY, rescaled=True):
    """w after the steps of its paper's algorithm."""
    momentum, m, v = (np.zeros_like(w) for _ in range(3))
    for t, g in enumerate(gradients, start=1):
        if name == "SGDW":  # Algorithm 1 of Loshchilov & Hutter
            momentum = MOMENTUM * momentum - RATE * g
            w = w - decay * w + momentum
            continue
        m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g**2
        m_hat, v_hat = m / (1 - BETAS[0] ** t), v / (1 - BETAS[1] ** t)
        if name == "AdamW":  # Algorithm 2 of Loshchilov & Hutter; Keras' ε
            w = w - decay * w - RATE * m_hat / (np.sqrt(v_hat) + 1e-3 / np.sqrt(1 - BETAS[1] ** t))
        else:  # Algorithm 2 of You et al., for a layer
            r = m_hat / (np.sqrt(v_hat) + 1e-3) + decay * w
            w = w - RATE * (np.linalg.norm(w) / np.linalg.norm(r) if rescaled else 1.0) * r
    return w


@EVERY_ONE
def test_steps_are_those_of_the_paper(name):
    variables, _, step = make(decoupled_optimizers, name, "float64")
    values, gradients = beginning("float64")
    for found in gradients:
        step(list(map(tf.constant, found)))
    for index, variable in enumerate(variables):
        expected = literal(name, values[index], [found[index] for found in gradients])
        np.testing.assert_allclose(variable, expected, rtol=1e-13, atol=1e-14)  # float64 over six steps


def test_a_variable_that_is_excluded_is_not_rescaled():
    variables, _, step = make(decoupled_optimizers, "LAMB", "float64", exclude_from_layer_adaptation=["1"])
    values, gradients = beginning("float64")
    for found in gradients:
        step(list(map(tf.constant, found)))
    for index, variable in enumerate(variables):
        expected = literal("LAMB", values[index], [found[index] for found in gradients], rescaled=index != 1)
        np.testing.assert_allclose(variable, expected, rtol=1e-13, atol=1e-14)


def test_lamb_moves_from_zero_and_stays_without_a_gradient():
    variable, still = tf.Variable([0.0, 0.0]), tf.Variable([3.0, 4.0])
    optimizer = decoupled_optimizers.LAMB(0.5, epsilon=1e-7)
    optimizer.apply_gradients([(tf.constant([2.0, -2.0]), variable), (tf.zeros(2), still)])
    np.testing.assert_allclose(variable, [-0.5, 0.5], rtol=1e-6)  # the ratio is 1, and the first direction g / |g|
    np.testing.assert_array_equal(still, [3.0, 4.0])


@pytest.mark.parametrize("name", ("SGDW", "AdamW"))
def test_rows_without_a_gradient_do_not_decay(name):
    variables, _, step = make(decoupled_optimizers, name)
    take_steps(step, 0, STEPS, sparsely=True)
    values, gradients = beginning("float64")
    moved, decayed = variables[2].numpy(), values[2][[1, 3, 4]]
    np.testing.assert_array_equal(moved[[1, 3, 4]], decayed.astype("float32"))
    rows = np.zeros((STEPS, 5, 2))
    for number in range(STEPS):
        np.add.at(rows[number], [2, 0, 2], gradients[number][2][:3])
    np.testing.assert_allclose(moved[[0, 2]], literal(name, values[2], rows)[[0, 2]], rtol=1e-5, atol=1e-6)


@EVERY_ONE
def test_a_description_makes_the_same_optimizer(name):
    rate = build_schedule(part("poly"), RATE, 10)
    decay = DECAY if name == "LAMB" else build_schedule(part("poly"), DECAY, 10)
    optimizer = make(decoupled_optimizers, name, rate=rate, decay=decay)[1]
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer), use_legacy_optimizer=True)
    assert type(again) is type(optimizer)
    assert keras.optimizers.serialize(again) == keras.optimizers.serialize(optimizer)


def both(addons, name, variant):
    """Ours and Addons' optimizer: [(variables, optimizer, step)]."""
    arguments = {}
    if variant == "schedules":
        arguments = {"rate": build_schedule(part("poly", warmup_steps=2), RATE, 2 * STEPS)}
        if name == "LAMB":
            arguments["exclude_from_layer_adaptation"] = [""]  # as for the group that does not decay
        else:
            arguments["decay"] = build_schedule(part("poly"), DECAY, 2 * STEPS)
    return [make(module, name, **arguments) for module in (decoupled_optimizers, addons)]


@EVERY_ONE
@pytest.mark.parametrize("variant", ("plain", "schedules", "sparse"))
@pytest.mark.parametrize("writer", (0, 1), ids=("ours_first", "addons_first"))
def test_ours_and_addons_go_on_from_each_others_checkpoints_bit_for_bit(addons, name, variant, writer, tmp_path):
    pair = both(addons, name, variant)
    variables, optimizer, step = pair[writer]
    take_steps(step, 0, STEPS, variant == "sparse")
    path = tf.train.Checkpoint(weights=variables, optimizer=optimizer).save(str(tmp_path / "first"))
    others, other, other_step = pair[1 - writer]
    tf.train.Checkpoint(weights=others, optimizer=other).restore(path).assert_consumed()
    again = tf.train.Checkpoint(weights=others, optimizer=other).save(str(tmp_path / "again"))
    assert dict(tf.train.list_variables(again)) == dict(tf.train.list_variables(path))
    for each in (step, other_step):
        take_steps(each, STEPS, 2 * STEPS, variant == "sparse")
    for found, expected in zip((*others, *other.variables()), (*variables, *optimizer.variables()), strict=True):
        assert (found.name, found.shape) == (expected.name, expected.shape)
        np.testing.assert_array_equal(found, expected)


def without_addons(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)  # as where it is not installed


def test_addons_are_taken_where_they_can_be_imported(addons, monkeypatch):
    assert decoupled() is addons
    without_addons(monkeypatch)
    assert decoupled() is decoupled_optimizers


def steps_in_half(name):
    """The weights and the scale after steps of which the second meets a picture that is not finite, float16."""
    keras.utils.set_random_seed(3)
    strategy = create_strategy("one_device")
    with strategy.scope():
        image = keras.Input([8, 8, 3])
        features = keras.layers.Conv2D(3, 3, padding="same")(image)
        model = keras.Model(image, {"logits": keras.layers.Conv2D(3, 1, dtype="float32")(features)})
        optimizer = build_optimizer(part(name, learning_rate=0.1), 3)
        optimizer.build(model.trainable_variables)
    step = TrainStep(model, build_objective((part("cross_entropy"),), 3), optimizer, strategy)
    rng, weights = np.random.default_rng(0), [[w.numpy() for w in model.weights]]
    for number in range(3):
        pictures = rng.uniform(-1, 1, [2, 8, 8, 3]) * (np.inf if number == 1 else 1)
        labels = tf.constant(rng.integers(0, 3, [2, 8, 8]), tf.int32)
        terms = step({"image": tf.constant(pictures, tf.float32), "labels": labels})
        assert float(terms["skipped"]) == (number == 1)
        weights.append([w.numpy() for w in model.weights])
    return weights, float(terms["loss_scale"])


@pytest.fixture()
def half():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("name", ("sgdw", "adamw", "lamb"))
def test_a_step_in_float16_that_is_not_finite_moves_nothing(name, monkeypatch):
    expected = None if decoupled() is decoupled_optimizers else steps_in_half(name)
    without_addons(monkeypatch)
    weights, scale = steps_in_half(name)
    assert scale == 2.0**14
    for before, first, second, third in zip(*weights):
        assert not np.array_equal(before, first) and not np.array_equal(second, third)
        np.testing.assert_array_equal(first, second)
    if expected is not None:
        for found, addons_own in zip(weights[-1], expected[0][-1]):
            np.testing.assert_array_equal(found, addons_own)
