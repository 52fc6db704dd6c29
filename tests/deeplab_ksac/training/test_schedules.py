"""Learning rates at the steps that matter, and the plateau that follows the loss."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import part
from deeplab_ksac.training.schedules import SCHEDULES, build_schedule

STEPS, WARMUP, RATE = 20, 5, 0.1


def literal(name, step, steps):
    """The rate at a step of the schedules without warm-up, in float64."""
    if name == "poly":
        return RATE * (1 - step / steps) ** 0.9
    if name == "cosine":
        return RATE * (1 + np.cos(np.pi * step / steps)) / 2
    return RATE


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_warmup_every_step_has_its_equations_rate(name):
    schedule = build_schedule(part(name), RATE, STEPS)
    for step in range(STEPS + 1):
        assert float(schedule(step)) == pytest.approx(literal(name, step, STEPS), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warmup_begins_at_0_and_ends_exactly_at_the_rate(name):
    schedule = build_schedule(part(name, warmup_steps=WARMUP), RATE, STEPS)
    assert float(schedule(0)) == 0
    assert float(schedule(WARMUP - 1)) == pytest.approx(RATE * (WARMUP - 1) / WARMUP, rel=1e-6)
    assert np.float32(schedule(WARMUP)) == np.float32(RATE)
    last = literal(name, STEPS - 1 - WARMUP, STEPS - WARMUP)
    assert float(schedule(STEPS - 1)) == pytest.approx(last, rel=1e-5)


def test_a_warmup_can_begin_at_a_share_of_the_rate():
    schedule = build_schedule(part("poly", warmup_steps=4, warmup_from=0.5), RATE, STEPS)
    np.testing.assert_allclose([float(schedule(step)) for step in range(5)], RATE * np.linspace(0.5, 1, 5), rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_read_back_from_what_it_writes(name):
    schedule = build_schedule(part(name, warmup_steps=WARMUP), RATE, STEPS)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    for step in (0, 3, WARMUP, 12):
        assert float(again(step)) == float(schedule(step))


@pytest.mark.parametrize("warmup_from", (0.0, 0.5))
@pytest.mark.parametrize(
    ("name", "arguments", "share"),
    (
        ("poly", {"power": 2.0}, lambda done: (1 - done) ** 2),
        ("cosine", {"end": 0.25}, lambda done: 0.25 + 0.75 * (1 + np.cos(np.pi * done)) / 2),
        ("constant", {}, lambda done: 1.0),
    ),
)
def test_every_argument_is_in_the_rates(name, arguments, share, warmup_from):
    schedule = build_schedule(part(name, warmup_steps=WARMUP, warmup_from=warmup_from, **arguments), RATE, STEPS)
    line = [warmup_from + (1 - warmup_from) * step / WARMUP for step in range(WARMUP)]
    expected = [*line, *(share(step / (STEPS - WARMUP)) for step in range(STEPS - WARMUP))]
    np.testing.assert_allclose([float(schedule(step)) / RATE for step in range(STEPS)], expected, rtol=1e-5, atol=1e-7)


def literal_plateau(losses, interval, patience, min_gain, factor, lowest=0.0):
    """The share of the first rate after each loss."""
    share, best, stale, window, shares = 1.0, np.inf, 0, [], []
    for loss in losses:
        if np.isfinite(loss):
            window.append(loss)
        if len(window) == interval:
            mean, window = np.mean(window), []
            if mean < best * (1 - min_gain) or best == np.inf:
                best, stale = mean, 0
            else:
                stale += 1
            if stale == patience:
                share, stale = max(share * factor, lowest), 0
        shares.append(share)
    return shares


def test_a_plateau_halves_the_rate_where_the_loss_falls_no_more():
    rng = np.random.default_rng(0)
    losses = np.concatenate([np.linspace(3, 1, 12), 1 + 0.01 * rng.random(30), np.linspace(0.5, 0.1, 12), [np.nan] * 2])
    losses = np.concatenate([losses, np.full(20, 0.1)]).astype("float32")
    schedule = build_schedule(part("plateau", interval=3, patience=2, min_gain=0.05, lowest=0.1), RATE, 100)
    observe = tf.function(schedule.observe)
    shares = []
    for loss in losses:
        observe(tf.constant(loss))
        shares.append(float(schedule(0)) / RATE)
    expected = literal_plateau(losses, 3, 2, 0.05, 0.5, 0.1)
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
    assert len(set(expected)) > 3 and min(expected) == 0.1  # it was cut, several times, and down to the bound


def shares_after(losses, **arguments):
    """The share of the first rate after each loss, of a plateau that looks at each and waits for none."""
    schedule = build_schedule(part("plateau", interval=1, patience=1, **arguments), RATE, 100)
    shares = []
    for loss in losses:
        schedule.observe(tf.constant(loss))
        shares.append(float(schedule(0)) / RATE)
    return shares


def test_a_plateau_cuts_by_its_factor():
    assert shares_after([1.0, 1.0, 1.0], factor=0.25) == pytest.approx([1, 0.25, 0.0625])


def test_a_loss_below_0_gains_by_falling():
    assert shares_after([-1.0, -1.05, -1.2], min_gain=0.1) == pytest.approx([1, 0.5, 0.5])


@pytest.mark.parametrize(
    "schedule, words",
    (
        (part("poly", warmup_steps=20), "warmup_steps must be below the stage's 20 steps, not 20"),
        (part("poly", power=0), r"power must be a number in \(0, inf\), not 0"),
        (part("cosine", end=2), r"end must be a number in \[0, 1\], not 2"),
        (part("cosine", warmup_steps=1, warmup_from=-1), r"warmup_from must be a number in \[0, 1\], not -1"),
        (part("plateau", factor=1.0), r"factor must be a number in \(0, 1\), not 1.0"),
        (part("plateau", interval=0), "interval must be an integer of at least 1, not 0"),
        (part("constant", learning_rate=1.0), "'constant' takes no 'learning_rate'; the optimizer or the stage has it"),
        (part("polly"), "'polly' is none of constant, cosine, plateau, poly; did you mean 'poly'"),
    ),
)
def test_a_schedule_without_sense_is_refused(schedule, words):
    with pytest.raises(ValueError, match=words):
        build_schedule(schedule, RATE, STEPS)


def test_a_rate_without_sense_is_refused():
    with pytest.raises(ValueError, match=r"learning_rate must be a number in \(0, inf\), not 0"):
        build_schedule(part("poly"), 0, STEPS)


FRACTIONS = ("power", "end", "warmup_from", "factor", "min_gain", "lowest")
WHOLE = ("warmup_steps", "interval", "patience")


@pytest.mark.parametrize("value", (float("nan"), float("inf"), True, "1", None))
@pytest.mark.parametrize("name", SCHEDULES)
def test_an_argument_that_is_no_finite_number_is_refused(name, value):
    taken = [argument for argument in inspect.signature(SCHEDULES[name]).parameters if argument in FRACTIONS + WHOLE]
    assert taken
    for argument in taken:
        kind = "a number in" if argument in FRACTIONS else "an integer of"
        with pytest.raises(ValueError, match=f"{argument} must be {kind} .*, not {value!r}"):
            build_schedule(part(name, **{argument: value}), RATE, STEPS)


@pytest.mark.parametrize("argument", WHOLE)
def test_a_number_of_steps_is_whole(argument):
    with pytest.raises(ValueError, match=f"{argument} must be an integer of .*, not 2.5"):
        build_schedule(part("plateau", **{argument: 2.5}), RATE, STEPS)
