"""Learning rates over the steps of a stage: poly, cosine, constant, plateau, each with a linear warm-up.

All but the plateau are pure functions of the step: step 0 is the first, `steps` − 1 the last. The plateau follows the
loss, and what it remembers is in the checkpoint.
"""

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.construct import construct
from deeplab_ksac.training.plateau import Plateau

Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("deeplab_ksac")
class Constant(Schedule):
    """The same rate at every step."""

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    def __call__(self, step):
        return tf.constant(self.learning_rate, tf.float32)

    def get_config(self):
        return {"learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable("deeplab_ksac")
class Warmup(Schedule):
    """A straight line to `learning_rate`, which is reached at step `warmup_steps`; `after` begins there, at its step 0.

    Args:
        after: the schedule after the warm-up.
        learning_rate: the line's end, the rate at step `warmup_steps`.
        warmup_steps: above 0.
        warmup_from: the line's beginning at step 0, as a share of `learning_rate`.
    """

    def __init__(self, after, learning_rate, warmup_steps, warmup_from=0.0):
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

    def __init__(self, schedule, factor):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        return {"schedule": keras.optimizers.schedules.serialize(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["factor"])


def poly(learning_rate, steps, *, power=0.9, warmup_steps=0, warmup_from=0.0):
    """learning_rate · (1 − step / steps)^power, 0 after the last step (Sect. 3.4.1.3); counted after the warm-up."""
    check(power=(power, power > 0))
    rest = steps_after_warmup(steps, warmup_steps)
    decay = keras.optimizers.schedules.PolynomialDecay(learning_rate, rest, end_learning_rate=0.0, power=power)
    return with_warmup(decay, learning_rate, warmup_steps, warmup_from)


def cosine(learning_rate, steps, *, end=0.0, warmup_steps=0, warmup_from=0.0):
    """learning_rate · (end + (1 − end) · (1 + cos(π step / steps)) / 2); counted after the warm-up."""
    check(end=(end, 0 <= end <= 1))
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps_after_warmup(steps, warmup_steps), alpha=end)
    return with_warmup(decay, learning_rate, warmup_steps, warmup_from)


def constant(learning_rate, steps, *, warmup_steps=0, warmup_from=0.0):
    """The same rate at every step after the warm-up."""
    steps_after_warmup(steps, warmup_steps)
    return with_warmup(Constant(learning_rate), learning_rate, warmup_steps, warmup_from)


def plateau(learning_rate, steps, *, factor=0.5, interval=1000, patience=3, min_gain=0.01, lowest=0.0, warmup_steps=0):
    """Cut according to the training loss: arguments as `Plateau`; the loss is watched from the first step on."""
    check(factor=(factor, 0 < factor < 1), interval=(interval, interval >= 1), patience=(patience, patience >= 1))
    check(min_gain=(min_gain, 0 <= min_gain < 1), lowest=(lowest, 0 <= lowest < 1))
    steps_after_warmup(steps, warmup_steps)
    cut = Plateau(learning_rate, factor=factor, interval=interval, patience=patience, min_gain=min_gain, lowest=lowest)
    return with_warmup(cut, learning_rate, warmup_steps, 0.0)


def check(**values):
    """Refuses the first value whose condition does not hold: name=(value, condition).

    Raises:
        ValueError: with the argument's name and value.
    """
    for name, (value, holds) in values.items():
        if not holds:
            raise ValueError(f"{name} cannot be {value!r}")


def steps_after_warmup(steps, warmup_steps):
    """The steps that are left.

    Raises:
        ValueError: the warm-up is longer than the stage, or negative.
    """
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"warmup_steps must be at least 0 and below the stage's {steps} steps, not {warmup_steps}")
    return steps - warmup_steps


def with_warmup(schedule, learning_rate, warmup_steps, warmup_from):
    """The schedule behind a warm-up, where there is one."""
    check(warmup_from=(warmup_from, 0 <= warmup_from <= 1))
    return Warmup(schedule, learning_rate, warmup_steps, warmup_from) if warmup_steps else schedule


SCHEDULES = {"constant": constant, "cosine": cosine, "plateau": plateau, "poly": poly}


def build_schedule(part, learning_rate, steps):
    """The schedule of a stage of `steps` steps.

    Raises:
        ValueError: an unknown name or argument, or a value that makes no sense.
    """
    for name in ("learning_rate", "steps"):
        if name in part.args:
            raise ValueError(f"the schedule {part.name!r} takes no {name!r}; the optimizer or the stage has it")
    check(learning_rate=(learning_rate, 0 < learning_rate < float("inf")))
    return construct(SCHEDULES, part, learning_rate=learning_rate, steps=steps)
