"""Learning rates over the steps of a stage: poly, cosine, constant, plateau, each with a linear warm-up.

All but the plateau are pure functions of the step: step 0 is the first, `steps` − 1 the last. The plateau follows the
loss, and what it remembers is in the checkpoint.
"""

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import check_numbers, check_whole_numbers
from deeplab_ksac.construct import at, construct
from deeplab_ksac.experiment import Part

Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("deeplab_ksac")
class Constant(Schedule):
    """The same rate at every step."""

    def __init__(self, learning_rate: float):
        self.learning_rate = learning_rate

    def __call__(self, step):
        return tf.constant(self.learning_rate, tf.float32)

    def get_config(self):
        return {"learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable("deeplab_ksac")
class Plateau(Schedule):
    """A rate that is cut "according to the loss" (Sect. 2.3.2), which the thesis did by hand about every 30K steps.

    The loss is averaged over `interval` steps. Where `patience` averages in a row are none of them below the best one
    by the share `min_gain`, the rate is multiplied by `factor`; the averages after a cut are counted anew.

    Args:
        learning_rate: the first rate.
        factor: of a cut, in (0, 1).
        interval, patience: whole numbers above 0.
        min_gain: in [0, 1).
        lowest: share of `learning_rate` below which the rate does not fall.

    Attributes:
        state: its variables: the rate's share, the best average, and the counts that lead to the next cut.
    """

    def __init__(
        self, learning_rate: float, *, factor: float, interval: int, patience: int, min_gain: float, lowest: float
    ):
        self.learning_rate, self.factor, self.interval = learning_rate, factor, interval
        self.patience, self.min_gain, self.lowest = patience, min_gain, lowest
        beginning = {"share": 1.0, "best": tf.float32.max, "stale": 0.0, "total": 0.0, "count": 0.0}
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.state = {
            name: tf.Variable(value, trainable=False, dtype=tf.float32, aggregation=first)
            for name, value in beginning.items()
        }

    def __call__(self, step):
        return self.learning_rate * self.state["share"].read_value()

    def observe(self, loss: tf.Tensor) -> None:
        """Takes the loss of a step, averaged over the replicas; one that is not finite is left out."""
        state, loss = self.state, tf.cast(loss, tf.float32)
        finite = tf.math.is_finite(loss)
        total = state["total"] + tf.where(finite, loss, 0.0)
        count = state["count"] + tf.cast(finite, tf.float32)
        due = count >= self.interval
        mean = tf.math.divide_no_nan(total, count)
        gained = due & (mean < state["best"] - self.min_gain * tf.abs(state["best"]))
        stale = tf.where(gained, 0.0, state["stale"] + tf.cast(due, tf.float32))
        cut = stale >= self.patience
        state["best"].assign(tf.where(gained, mean, state["best"]))
        state["stale"].assign(tf.where(cut, 0.0, stale))
        state["share"].assign(tf.where(cut, tf.maximum(state["share"] * self.factor, self.lowest), state["share"]))
        state["total"].assign(tf.where(due, 0.0, total))
        state["count"].assign(tf.where(due, 0.0, count))

    def get_config(self):
        names = ("learning_rate", "factor", "interval", "patience", "min_gain", "lowest")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("deeplab_ksac")
class Warmup(Schedule):
    """A straight line to `learning_rate`, which is reached at step `warmup_steps`; `after` begins there, at its step 0.

    Args:
        after: the schedule after the warm-up.
        learning_rate: the line's end, the rate at step `warmup_steps`.
        warmup_steps: above 0.
        warmup_from: the line's beginning at step 0, as a share of `learning_rate`.
    """

    def __init__(self, after: Schedule, learning_rate: float, warmup_steps: int, warmup_from: float):
        self.after, self.learning_rate = after, learning_rate
        self.warmup_steps, self.warmup_from = warmup_steps, warmup_from

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        share = self.warmup_from + (1 - self.warmup_from) * step / self.warmup_steps
        after = self.after(tf.maximum(step - self.warmup_steps, 0.0))
        return tf.where(step < self.warmup_steps, share * self.learning_rate, after)

    def get_config(self):
        return {
            "after": keras.optimizers.schedules.serialize(self.after),
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "warmup_from": self.warmup_from,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "after": keras.optimizers.schedules.deserialize(config["after"])})


@keras.saving.register_keras_serializable("deeplab_ksac")
class Scaled(Schedule):
    """A factor times another schedule: the rate of a group of variables, or a weight decay that follows the rate."""

    def __init__(self, schedule: Schedule, factor: float):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        return {"schedule": keras.optimizers.schedules.serialize(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["factor"])


def poly(
    learning_rate: float, steps: int, *, power: float = 0.9, warmup_steps: int = 0, warmup_from: float = 0.0
) -> Schedule:
    """learning_rate · (1 − step / steps)^power, 0 after the last step (Sect. 3.4.1.3); counted after the warm-up."""
    check_numbers("(0, inf)", power=power)
    rest = _steps_after_warmup(steps, warmup_steps)
    decay = keras.optimizers.schedules.PolynomialDecay(learning_rate, rest, end_learning_rate=0.0, power=power)
    return _with_warmup(decay, learning_rate, warmup_steps, warmup_from)


def cosine(
    learning_rate: float, steps: int, *, end: float = 0.0, warmup_steps: int = 0, warmup_from: float = 0.0
) -> Schedule:
    """learning_rate · (end + (1 − end) · (1 + cos(π step / steps)) / 2); counted after the warm-up."""
    check_numbers("[0, 1]", end=end)
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, _steps_after_warmup(steps, warmup_steps), alpha=end)
    return _with_warmup(decay, learning_rate, warmup_steps, warmup_from)


def constant(learning_rate: float, steps: int, *, warmup_steps: int = 0, warmup_from: float = 0.0) -> Schedule:
    """The same rate at every step after the warm-up."""
    _steps_after_warmup(steps, warmup_steps)
    return _with_warmup(Constant(learning_rate), learning_rate, warmup_steps, warmup_from)


def plateau(
    learning_rate: float,
    steps: int,
    *,
    factor: float = 0.5,
    interval: int = 1000,
    patience: int = 3,
    min_gain: float = 0.01,
    lowest: float = 0.0,
    warmup_steps: int = 0,
) -> Schedule:
    """Cut according to the training loss: arguments as `Plateau`; the loss is watched from the first step on."""
    check_numbers("(0, 1)", factor=factor)
    check_numbers("[0, 1)", min_gain=min_gain, lowest=lowest)
    check_whole_numbers(1, interval=interval, patience=patience)
    _steps_after_warmup(steps, warmup_steps)
    cut = Plateau(learning_rate, factor=factor, interval=interval, patience=patience, min_gain=min_gain, lowest=lowest)
    return _with_warmup(cut, learning_rate, warmup_steps, 0.0)


def _steps_after_warmup(steps, warmup_steps):
    check_whole_numbers(0, warmup_steps=warmup_steps)
    if warmup_steps >= steps:
        raise ValueError(f"warmup_steps must be below the stage's {steps} steps, not {warmup_steps}")
    return steps - warmup_steps


def _with_warmup(schedule, learning_rate, warmup_steps, warmup_from):
    check_numbers("[0, 1]", warmup_from=warmup_from)
    return Warmup(schedule, learning_rate, warmup_steps, warmup_from) if warmup_steps else schedule


def plateau_in(schedule: Schedule) -> Plateau | None:
    """The plateau that a schedule is, or that it wraps."""
    while schedule is not None and not isinstance(schedule, Plateau):
        schedule = getattr(schedule, "after", None) or getattr(schedule, "schedule", None)
    return schedule


SCHEDULES = {"constant": constant, "cosine": cosine, "plateau": plateau, "poly": poly}


def build_schedule(part: Part, learning_rate: float, steps: int, *, stage: int = 0) -> Schedule:
    """The schedule of a stage of `steps` steps; `stage` is its index, for errors.

    Raises:
        ValueError: an unknown name or argument, or a value that makes no sense.
    """
    check_numbers("(0, inf)", learning_rate=learning_rate)
    with at(f"stages[{stage}].schedule"):
        for name in ("learning_rate", "steps"):
            if name in part.args:
                raise ValueError(f"the schedule {part.name!r} takes no {name!r}; the optimizer or the stage has it")
        return construct(SCHEDULES, part, learning_rate=learning_rate, steps=steps)
