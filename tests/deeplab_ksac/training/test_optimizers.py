"""Every optimizer against its update rule in NumPy, on one replica and on two, and how its state is kept."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.training.optimizers import OPTIMIZERS, LossScale, build_optimizer
from deeplab_ksac.training.strategy import create_strategy
from tests.replicas import two_replicas

STEPS, RATE, WARMUP = 4, 0.2, 2
RATIO, DECAY, MOMENTUM, BETAS = 0.1, 0.02, 0.8, (0.7, 0.9)
NAMES = ("backbone/kernel", "backbone/gamma", "head/kernel", "head/bias")
EPSILONS = {"adam": 1e-7, "adamw": 1e-7, "lamb": 1e-6}  # where none is given
CASES = (
    ("sgd", {"momentum": MOMENTUM}),
    ("sgd", {"momentum": MOMENTUM, "nesterov": True}),
    ("adam", {"beta_1": BETAS[0], "beta_2": BETAS[1]}),
    ("adam", {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": 0.1}),
    ("sgdw", {"momentum": MOMENTUM, "weight_decay": DECAY, "decay": "learning_rate"}),
    ("sgdw", {"momentum": MOMENTUM, "weight_decay": DECAY, "decay": "schedule"}),
    ("sgdw", {"momentum": MOMENTUM, "weight_decay": DECAY, "decay": "constant"}),
    ("adamw", {"beta_1": BETAS[0], "beta_2": BETAS[1], "weight_decay": DECAY, "decay": "learning_rate"}),
    ("adamw", {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": 0.1, "weight_decay": DECAY, "decay": "schedule"}),
    ("lamb", {"beta_1": BETAS[0], "beta_2": BETAS[1], "weight_decay": DECAY}),
    ("lamb", {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": 0.1, "weight_decay": DECAY}),
)


def multiplier(step):
    """Of the rate: a warm-up of two steps, then the poly decay over the two that are left."""
    return step / WARMUP if step < WARMUP else (1 - (step - WARMUP) / (STEPS - WARMUP)) ** 0.9


def beginning():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(2, 4)), rng.normal(size=2)]
    gradients = [[rng.normal(size=value.shape) for value in values] for _ in range(STEPS)]
    return [value.astype("float32") for value in values], [[g.astype("float32") for g in step] for step in gradients]


def literal_update(name, w, gradient, state, step, rate, decayed, arguments):
    """w after one step of the algorithm, written from its paper; `state` keeps the moments."""
    meaning, epsilon = arguments.get("decay"), arguments.get("epsilon", EPSILONS.get(name))
    shrink = {"learning_rate": rate * DECAY, "schedule": multiplier(step) * DECAY, "constant": DECAY}.get(meaning, 0.0)
    shrink = shrink if decayed else 0.0
    if name in ("sgd", "sgdw"):
        state["v"] = MOMENTUM * state.get("v", 0.0) - rate * gradient
        if arguments.get("nesterov"):
            return w + MOMENTUM * state["v"] - rate * gradient
        return w - shrink * w + state["v"]
    state["m"] = BETAS[0] * state.get("m", 0.0) + (1 - BETAS[0]) * gradient
    state["s"] = BETAS[1] * state.get("s", 0.0) + (1 - BETAS[1]) * gradient**2
    corrections = 1 - BETAS[0] ** (step + 1), 1 - BETAS[1] ** (step + 1)
    if name in ("adam", "adamw"):
        corrected = rate * np.sqrt(corrections[1]) / corrections[0]
        return w - shrink * w - corrected * state["m"] / (np.sqrt(state["s"]) + epsilon)
    update = state["m"] / corrections[0] / (np.sqrt(state["s"] / corrections[1]) + epsilon)
    if not decayed:
        return w - rate * update
    update = update + DECAY * w
    return w - rate * np.linalg.norm(w) / np.linalg.norm(update) * update


def literal_weights(name, arguments):
    values, gradients = beginning()
    values, states = [value.astype("float64") for value in values], [{} for _ in values]
    for step, step_gradients in enumerate(gradients):
        for index, gradient in enumerate(step_gradients):
            rate = RATE * multiplier(step) * (RATIO if NAMES[index].startswith("backbone") else 1.0)
            decayed = name in ("sgdw", "adamw", "lamb") and NAMES[index].endswith("kernel")
            values[index] = literal_update(
                name, values[index], gradient.astype("float64"), states[index], step, rate, decayed, arguments
            )
    return values


def make(strategy, name, arguments):
    """Variables and their optimizer."""
    with strategy.scope():
        variables = [tf.Variable(value, name=label) for value, label in zip(beginning()[0], NAMES)]
        optimizer = build_optimizer(
            part(name, learning_rate=RATE, backbone_lr=RATIO, **arguments), STEPS, part("poly", warmup_steps=WARMUP)
        )
        optimizer.build(variables, variables[:2])
    return variables, optimizer


def take_steps(strategy, variables, optimizer, first=0, last=STEPS):
    for gradients in beginning()[1][first:last]:
        strategy.run(lambda found=gradients: optimizer.apply(list(zip(map(tf.constant, found), variables))))


@pytest.fixture(scope="module", params=("one_device", "mirrored"))
def strategy(request):
    return two_replicas() if request.param == "mirrored" else create_strategy(request.param)


def id_of(given):
    """Of a case's arguments what it differs by."""
    if isinstance(given, str):
        return given
    return "_".join([given.get("decay", ""), *(name for name in ("nesterov", "epsilon") if name in given)])


@pytest.mark.parametrize("name, arguments", CASES, ids=id_of)
def test_an_optimizer_follows_its_rule_with_a_slower_backbone(strategy, name, arguments):
    variables, optimizer = make(strategy, name, arguments)
    take_steps(strategy, variables, optimizer)
    for variable, expected in zip(variables, literal_weights(name, arguments)):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy.numpy(), expected, rtol=2e-5, atol=2e-6)  # float32 over four steps
    assert int(optimizer.iterations.numpy()) == STEPS
    assert float(optimizer.learning_rate) == pytest.approx(RATE * multiplier(STEPS - 1), rel=1e-6)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_optimizer_goes_on_from_its_checkpoint_bit_for_bit(strategy, name, tmp_path):
    straight, optimizer = make(strategy, name, {})
    take_steps(strategy, straight, optimizer, last=2)
    path = tf.train.Checkpoint(weights=straight, optimizer=optimizer).save(str(tmp_path / "ckpt"))
    take_steps(strategy, straight, optimizer, first=2)
    resumed, other = make(strategy, name, {})
    tf.train.Checkpoint(weights=resumed, optimizer=other).restore(path).assert_consumed()
    take_steps(strategy, resumed, other, first=2)
    for ours, expected in zip(resumed, straight):
        np.testing.assert_array_equal(ours.numpy(), expected.numpy())


def test_a_backbone_without_a_rate_stays_as_it_is():
    one = create_strategy("one_device")
    with one.scope():
        variables = [tf.Variable(value, name=label) for value, label in zip(beginning()[0], NAMES)]
        optimizer = build_optimizer(part("sgdw", decay="constant", backbone_lr=0.0), STEPS)
        optimizer.build(variables, variables[:2])
    take_steps(one, variables, optimizer)
    moved = [not np.array_equal(v.numpy(), value) for v, value in zip(variables, beginning()[0])]
    assert moved == [False, False, True, True]


@pytest.mark.parametrize("name", ("adamw", "lamb", "sgdw"))
def test_decay_can_be_for_all_variables(name):
    optimizer = build_optimizer(part(name, exclude_from_weight_decay=()), STEPS)
    optimizer.build([tf.Variable([1.0], name=name) for name in NAMES])
    assert list(optimizer.groups) == ["head_decayed"]


@pytest.mark.parametrize("name", ("adamw", "lamb", "sgdw"))
def test_scales_shifts_and_biases_do_not_decay_unless_it_is_said(name):
    optimizer, found = build_optimizer(part(name), STEPS), {}
    for label in ("a/kernel", "a/depthwise_kernel", "a/bias", "a/gamma", "a/beta", "beta/kernel"):
        found[label] = optimizer._group_of(tf.Variable([1.0], name=label))
    assert [label for label, group in found.items() if group == "head_exempt"] == ["a/bias", "a/gamma", "a/beta"]


@pytest.mark.parametrize(
    "optimizer, words",
    (
        (part("sgd", momentum=1.0), r"momentum must be a number in \[0, 1\), not 1.0"),
        (part("sgd", learning_rate=-1.0), r"learning_rate must be a number in \(0, inf\), not -1.0"),
        (part("adam", beta_1=1.0), r"beta_1 must be a number in \[0, 1\), not 1.0"),
        (part("adam", backbone_lr=-0.1), r"backbone_lr must be a number in \[0, inf\), not -0.1"),
        (part("sgdw", weight_decay=-1.0), r"weight_decay must be a number in \[0, 1\), not -1.0"),
        (part("adamw", decay="both"), "decay must be one of learning_rate, schedule, constant, not 'both'"),
        (
            part("adamw", betas=(0.9, 0.999)),
            "'adamw' takes no 'betas'; it takes schedule, learning_rate, beta_1, beta_2",
        ),
        (part("sgd", weight_decay=0.1), "'sgd' takes no 'weight_decay'; it takes schedule, learning_rate, momentum"),
        (part("sgd", schedule="poly"), "'sgd' takes no 'schedule'; it is a field of the stage"),
        (part("lamp"), "'lamp' is none of adam, adamw, lamb, sgd, sgdw; did you mean 'lamb'"),
    ),
)
def test_an_optimizer_without_sense_is_refused(optimizer, words):
    with pytest.raises(ValueError, match=words):
        build_optimizer(optimizer, STEPS)


def test_a_ratio_without_a_known_backbone_is_refused():
    with pytest.raises(ValueError, match=r"backbone_lr is 0.1, but there are no variables of a backbone to train"):
        build_optimizer(part("sgd", backbone_lr=0.1), STEPS).build([tf.Variable(1.0)])


@pytest.mark.parametrize("value", ("gamma", ("(",), (0,), None))
@pytest.mark.parametrize("name", ("adamw", "lamb", "sgdw"))
def test_patterns_of_what_does_not_decay_are_regular_expressions(name, value):
    with pytest.raises(ValueError, match="exclude_from_weight_decay must be regular expressions"):
        build_optimizer(part(name, exclude_from_weight_decay=value), STEPS)


def test_the_loss_scale_moves_as_that_of_keras():
    ours, variable = LossScale(growth_steps=3), tf.Variable(0.0)
    keras_own = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.0), dynamic_growth_steps=3)
    for finite in (True, True, False, True, True, True, True, False, True, True, True):
        keras_own.apply_gradients([(tf.constant(0.0 if finite else np.inf), variable)])
        ours.update(tf.constant(finite))
        assert float(ours.scale) == float(keras_own.loss_scale)
    for _ in range(20):
        ours.update(tf.constant(False))
    assert float(ours.scale) == 1.0


NUMBERS = ("learning_rate", "backbone_lr", "momentum", "beta_1", "beta_2", "epsilon", "weight_decay")
WRONG = (float("nan"), float("inf"), True, "0.1", None)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_argument_that_is_no_finite_number_is_refused(name, value):
    taken = [argument for argument in NUMBERS if argument in inspect.signature(OPTIMIZERS[name]).parameters]
    assert len(taken) >= 3
    for argument in taken:
        with pytest.raises(ValueError, match=f"{argument} must be a number in .*, not {value!r}"):
            build_optimizer(part(name, **{argument: value}), STEPS)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_gradients_that_are_summed_already_are_not_summed_again(name):
    """By what an optimizer remembers of them: Adam's step would look the same for a gradient twice as long.

    Keras 3's optimizers always sum over the replicas.
    """
    states = []
    for strategy in (create_strategy("one_device"), two_replicas()):
        variables, optimizer = make(strategy, name, {})
        take_steps(strategy, variables, optimizer, last=2)
        kept = [group.variables for group in optimizer.groups.values()]
        kept = [variable for own in kept for variable in (own() if callable(own) else own)]
        assert len(kept) > len(NAMES)
        states.append([[copy.numpy() for copy in strategy.experimental_local_results(v)] for v in (*variables, *kept)])
    for (single,), copies in zip(*states, strict=True):
        assert len(copies) in (1, 2)
        for copy in copies:
            np.testing.assert_allclose(copy, single, rtol=1e-6, atol=1e-7)
