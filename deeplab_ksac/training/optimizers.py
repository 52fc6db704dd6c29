"""Optimizers with their schedules (Sect. 2.3.2, 3.4.1.3), each way of weight decay named for what it does.

- L2: `Stage.l2` times Σ w² is added to the loss; its gradient passes through momentum and moments.
- Decoupled (`sgdw`, `adamw`): the weights themselves shrink at every step, by `weight_decay` times what `decay` names:
  "learning_rate", the step's rate, as PyTorch's AdamW; "schedule", the step's rate over the first one, as the paper's
  η_t (Loshchilov & Hutter, ICLR 2019, Algorithm 1 and 2); "constant", 1 at every step.
- `lamb`: the decay is part of the update that each variable's norm rescales (You et al., ICLR 2020, Algorithm 2).
"""

import warnings

from tensorflow import keras

from deeplab_ksac.construct import construct
from deeplab_ksac.experiment import Part
from deeplab_ksac.training.grouped import GroupedOptimizer
from deeplab_ksac.training.schedules import Scaled, build_schedule, check

NOT_DECAYED = (r"bias[^/]*$", r"gamma[^/]*$", r"beta[^/]*$")
DECAYS = ("learning_rate", "schedule", "constant")


def sgd(schedule, learning_rate=0.01, *, momentum=0.9, nesterov=False, backbone_lr=1.0):
    """SGD with momentum: v ← momentum · v − rate · gradient, w ← w + v."""
    check(momentum=(momentum, 0 <= momentum < 1))

    def make(rates, factor, decayed):
        return keras.optimizers.SGD(rates, momentum=momentum, nesterov=nesterov)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr)


def adam(schedule, learning_rate=1e-3, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7, backbone_lr=1.0):
    """Adam, with Keras' place of ε: beside the root of the second moment before its correction."""
    check_moments(beta_1, beta_2, epsilon)

    def make(rates, factor, decayed):
        return keras.optimizers.Adam(rates, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr)


def sgdw(
    schedule,
    learning_rate=0.01,
    *,
    momentum=0.9,
    weight_decay=1e-2,
    decay="learning_rate",
    exclude_from_weight_decay=NOT_DECAYED,
    backbone_lr=1.0,
):
    """SGD with momentum and decoupled weight decay.

    Args:
        weight_decay, decay: how much the weights shrink; the module says what `decay` means.
        exclude_from_weight_decay: regular expressions; a variable whose name one of them finds is not decayed.
    """
    check(momentum=(momentum, 0 <= momentum < 1))

    def make(rates, factor, decayed):
        return addons().SGDW(
            decay_rate(weight_decay, decay, rates, learning_rate * factor) if decayed else 0.0,
            learning_rate=rates,
            momentum=momentum,
        )

    check_decay(weight_decay, decay)
    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def adamw(
    schedule,
    learning_rate=1e-3,
    *,
    betas=(0.9, 0.999),
    epsilon=1e-7,
    weight_decay=1e-2,
    decay="learning_rate",
    exclude_from_weight_decay=NOT_DECAYED,
    backbone_lr=1.0,
):
    """Adam with decoupled weight decay; arguments as `adam` and `sgdw`."""
    check_moments(*betas, epsilon)

    def make(rates, factor, decayed):
        return addons().AdamW(
            decay_rate(weight_decay, decay, rates, learning_rate * factor) if decayed else 0.0,
            learning_rate=rates,
            beta_1=betas[0],
            beta_2=betas[1],
            epsilon=epsilon,
        )

    check_decay(weight_decay, decay)
    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def lamb(
    schedule,
    learning_rate=1e-3,
    *,
    betas=(0.9, 0.999),
    epsilon=1e-6,
    weight_decay=1e-2,
    exclude_from_weight_decay=NOT_DECAYED,
    backbone_lr=1.0,
):
    """LAMB: Adam's direction plus weight_decay · w, of the length of w; what is not decayed is not rescaled either."""
    check_moments(*betas, epsilon)
    check_decay(weight_decay, "learning_rate")

    def make(rates, factor, decayed):
        return addons().LAMB(
            rates,
            beta_1=betas[0],
            beta_2=betas[1],
            epsilon=epsilon,
            weight_decay=weight_decay if decayed else 0.0,
            exclude_from_layer_adaptation=[] if decayed else [""],  # "" is found in every name
        )

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def check_moments(beta_1, beta_2, epsilon):
    """Refuses averages of moments that do not average, and an ε that is none."""
    check(beta_1=(beta_1, 0 <= beta_1 < 1), beta_2=(beta_2, 0 <= beta_2 < 1), epsilon=(epsilon, epsilon > 0))


def check_decay(weight_decay, decay):
    """Refuses a negative decay, and one of unknown meaning."""
    check(weight_decay=(weight_decay, 0 <= weight_decay < 1))
    if decay not in DECAYS:
        raise ValueError(f"decay must be one of {', '.join(DECAYS)}, not {decay!r}")


def decay_rate(weight_decay, decay, rates, first_rate):
    """The share by which the weights of a group shrink at a step, as a schedule or a number.

    `rates` are those of the group, and `first_rate` is the one that they begin with; 0 for a group that is not trained.
    """
    if decay == "constant" or not first_rate:
        return weight_decay if first_rate else 0.0
    return Scaled(rates, weight_decay if decay == "learning_rate" else weight_decay / first_rate)


def addons():
    """The optimizers of tensorflow-addons, imported without the notice that they are maintained no longer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons

    return tensorflow_addons.optimizers


OPTIMIZERS = {"adam": adam, "adamw": adamw, "lamb": lamb, "sgd": sgd, "sgdw": sgdw}


def build_optimizer(part, steps, schedule=Part("poly")):  # noqa: B008 (a frozen value)
    """The optimizer of a stage of `steps` steps, with loss scaling under the policy mixed_float16.

    Args:
        part: of `OPTIMIZERS`.
        schedule: of `SCHEDULES`.

    Raises:
        ValueError: an unknown name or argument, or a value that makes no sense.
    """
    if "schedule" in part.args:
        raise ValueError(f"{part.name!r} takes no 'schedule'; it is a field of the stage")
    return construct(OPTIMIZERS, part, schedule=lambda learning_rate: build_schedule(schedule, learning_rate, steps))
