"""Optimizers with their schedules (Sect. 2.3.2, 3.4.1.3), each way of weight decay named for what it does.

- L2: `Stage.l2` times Σ w² is added to the loss; its gradient passes through momentum and moments.
- Decoupled (`sgdw`, `adamw`): the weights themselves shrink at every step, by `weight_decay` times what `decay` names:
  "learning_rate", the step's rate, as PyTorch's AdamW; "schedule", the step's rate over the first one, as the paper's
  η_t (Loshchilov & Hutter, ICLR 2019, Algorithm 1 and 2); "constant", 1 at every step.
- `lamb`: the decay is part of the update that each variable's norm rescales (You et al., ICLR 2020, Algorithm 2).

The last three are those of tensorflow-addons where it can be imported, else those of `decoupled_optimizers`; a run goes
on from one to the other bit for bit.

Variables that need other rates or no decay are groups, each with an optimizer of its own (`GroupedOptimizer`).
"""

import re
import types
import warnings
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import check_numbers
from deeplab_ksac.construct import at, construct
from deeplab_ksac.experiment import Part
from deeplab_ksac.training import decoupled_optimizers
from deeplab_ksac.training.schedules import Scaled, Schedule, build_schedule, plateau_in

NOT_DECAYED = (r"bias[^/]*$", r"gamma[^/]*$", r"beta[^/]*$")
DECAYS = ("learning_rate", "schedule", "constant")
FIRST_SCALE, LOWEST_SCALE, GROWTH_STEPS = 2.0**15, 1.0, 2000


class GroupedOptimizer(tf.Module):
    """Optimizers that follow one schedule, each for its group of variables.

    A group of its own is what makes a ratio of learning rates exact for every optimizer and under every strategy: to
    scale the gradients would change nothing for Adam. Gradients come summed over the replicas.

    Args:
        make: (rates, factor, decayed) -> a Keras optimizer, of the present or the legacy kind, for a group whose rates
            are `factor` times the schedule's, and whose weights decay or do not.
        schedule: the rates of all but the backbone.
        backbone_lr: factor of the backbone's rates; 0 keeps its weights as they are.
        exempt: regular expressions; a variable whose name one of them finds does not decay.
    """

    def __init__(self, make: Callable, schedule: Schedule, backbone_lr: float = 1.0, exempt: Sequence[str] = ()):
        check_numbers("[0, inf)", backbone_lr=backbone_lr)
        super().__init__(name="optimizer")
        _check_patterns(exempt)
        self.make, self.schedule, self.backbone_lr, self.exempt = make, schedule, backbone_lr, tuple(exempt)
        self.groups, self._backbone = {}, frozenset()
        half = keras.mixed_precision.global_policy().name == "mixed_float16"
        self.loss_scale = LossScale() if half else None
        self.plateau = plateau_in(schedule)
        self.plateau_state = None if self.plateau is None else self.plateau.state

    def build(self, variables: Sequence[tf.Variable], backbone: Sequence[tf.Variable] | None = None) -> None:
        """Makes the variables of the optimizers, once; before a checkpoint is read.

        Args:
            variables: what is trained.
            backbone: those of them that `backbone_lr` is for, which are none where the backbone is frozen whole; None
                where it is not known.

        Raises:
            ValueError: there is a ratio, and it is not known what it is for.
        """
        if self.groups:
            return
        if self.backbone_lr != 1 and backbone is None:
            raise ValueError(
                f"backbone_lr is {self.backbone_lr}, but there are no variables of a backbone to train; name them, or "
                "set backbone_lr to 1"
            )
        if self.backbone_lr != 1:
            self._backbone = frozenset(variable.ref() for variable in backbone)
        members = {}
        for variable in variables:
            members.setdefault(self._group_of(variable), []).append(variable)
        groups = {key: self._optimizer(key) for key in sorted(members)}
        for key, optimizer in groups.items():
            _create_variables(optimizer, members[key])
        self.groups = groups

    def _group_of(self, variable):
        """The name of a variable's group, such as "backbone_decayed"."""
        place = "backbone" if variable.ref() in self._backbone else "head"
        exempt = any(re.search(pattern, variable.name) for pattern in self.exempt)
        return f"{place}_{'exempt' if exempt else 'decayed'}"

    def _optimizer(self, key):
        factor = self.backbone_lr if key.startswith("backbone") else 1.0
        rates = self.schedule if factor == 1 else Scaled(self.schedule, factor)
        return self.make(rates, factor, key.endswith("decayed"))

    def apply(self, gradients_and_variables: Iterable[tuple[tf.Tensor, tf.Variable]]) -> None:
        """Moves the variables, in a replica's context; the gradients are summed over the replicas already."""
        members = {key: [] for key in self.groups}
        for gradient, variable in gradients_and_variables:
            members[self._group_of(variable)].append((gradient, variable))
        for key, optimizer in self.groups.items():
            if not members[key]:
                optimizer.iterations.assign_add(1)
            elif _is_legacy(optimizer):
                optimizer.apply_gradients(members[key], experimental_aggregate_gradients=False)
            else:
                optimizer.apply_gradients(members[key], skip_gradients_aggregation=True)

    def skip(self) -> None:
        """Counts a step without moving anything, outside of a replica's context."""
        for optimizer in self.groups.values():
            optimizer.iterations.assign_add(1)

    def observe(self, loss: tf.Tensor) -> None:
        """Shows the schedule the loss of a step, averaged over the replicas, outside of a replica's context."""
        if self.plateau is not None:
            self.plateau.observe(loss)

    @property
    def slots(self) -> list[tf.Variable]:
        """What is kept for each weight: momentum, moments; without counters and rates."""
        kept = [
            variable
            for optimizer in self.groups.values()
            for variable in (optimizer.weights if _is_legacy(optimizer) else optimizer.variables)
        ]
        return [variable for variable in kept if variable.shape.rank]

    @property
    def iterations(self) -> tf.Variable:
        """The steps taken, skipped ones among them."""
        return next(iter(self.groups.values())).iterations

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the last step taken, of all but the backbone; a scalar tensor."""
        return self.schedule(tf.maximum(self.iterations.read_value() - 1, 0))


def _check_patterns(patterns):
    for pattern in patterns if isinstance(patterns, tuple | list) else [None]:
        try:
            re.compile(pattern)
        except (TypeError, re.error):
            raise ValueError(
                f"exclude_from_weight_decay must be regular expressions, such as ('gamma$',), not {patterns!r}"
            ) from None


def _create_variables(optimizer, variables):
    """Makes the moments of an optimizer."""
    if _is_legacy(optimizer):
        optimizer.iterations  # noqa: B018 (is made when it is first read)
        optimizer._create_all_weights(variables)  # the legacy kind has no other way but a step
    else:
        optimizer.build(variables)


def _is_legacy(optimizer):
    """Whether an optimizer is of the kind that tensorflow-addons derives its own from."""
    return isinstance(optimizer, keras.optimizers.legacy.Optimizer)


class LossScale(tf.Module):
    """A factor of the loss in float16, where small gradients would become zero.

    It is halved where a gradient is not finite and doubled after 2,000 steps without that. The rule, the first scale
    and the lowest are those of Keras' `LossScaleOptimizer`. That one wraps one optimizer and looks at the gradients it
    is given; here one decision holds for all groups of variables, and for the sum of all parts of a batch.
    """

    def __init__(self, growth_steps: int = GROWTH_STEPS):
        super().__init__(name="loss_scale")
        self.growth_steps = growth_steps
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.scale = tf.Variable(FIRST_SCALE, trainable=False, dtype=tf.float32, aggregation=first)
        self.good_steps = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=first)

    def update(self, finite: tf.Tensor) -> None:
        """Moves the scale after a step whose gradients were all finite, or not."""
        good = tf.where(finite, self.good_steps + 1, 0)
        grown = good >= self.growth_steps
        doubled = self.scale * 2.0
        up = tf.where(grown & tf.math.is_finite(doubled), doubled, self.scale)
        self.scale.assign(tf.where(finite, up, tf.maximum(self.scale / 2.0, LOWEST_SCALE)))
        self.good_steps.assign(tf.where(grown, tf.zeros_like(good), good))


def sgd(
    schedule: Callable[[float], Schedule],
    learning_rate: float = 0.01,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    backbone_lr: float = 1.0,
) -> GroupedOptimizer:
    """SGD with momentum: v ← momentum · v − rate · gradient, w ← w + v."""
    check_numbers("[0, 1)", momentum=momentum)

    def make(rates, factor, decayed):
        return keras.optimizers.SGD(rates, momentum=momentum, nesterov=nesterov)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr)


def adam(
    schedule: Callable[[float], Schedule],
    learning_rate: float = 1e-3,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    backbone_lr: float = 1.0,
) -> GroupedOptimizer:
    """Adam, with ε where Keras has it: added to the root of the second moment before its correction."""
    _check_moments(beta_1, beta_2, epsilon)

    def make(rates, factor, decayed):
        return keras.optimizers.Adam(rates, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr)


def sgdw(
    schedule: Callable[[float], Schedule],
    learning_rate: float = 0.01,
    *,
    momentum: float = 0.9,
    weight_decay: float = 1e-2,
    decay: str = "learning_rate",
    exclude_from_weight_decay: Sequence[str] = NOT_DECAYED,
    backbone_lr: float = 1.0,
) -> GroupedOptimizer:
    """SGD with momentum and decoupled weight decay.

    Args:
        weight_decay, decay: how much the weights shrink; the module says what `decay` means.
        exclude_from_weight_decay: regular expressions; a variable whose name one of them finds is not decayed.
    """
    check_numbers("[0, 1)", momentum=momentum)
    _check_decay(weight_decay, decay)
    optimizers = decoupled()

    def make(rates, factor, decayed):
        shrinking = _decay_rate(weight_decay, decay, rates, learning_rate * factor) if decayed else 0.0
        return optimizers.SGDW(shrinking, learning_rate=rates, momentum=momentum)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def adamw(
    schedule: Callable[[float], Schedule],
    learning_rate: float = 1e-3,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 1e-2,
    decay: str = "learning_rate",
    exclude_from_weight_decay: Sequence[str] = NOT_DECAYED,
    backbone_lr: float = 1.0,
) -> GroupedOptimizer:
    """Adam with decoupled weight decay; arguments as `adam` and `sgdw`."""
    _check_moments(beta_1, beta_2, epsilon)
    _check_decay(weight_decay, decay)
    optimizers = decoupled()

    def make(rates, factor, decayed):
        shrinking = _decay_rate(weight_decay, decay, rates, learning_rate * factor) if decayed else 0.0
        return optimizers.AdamW(shrinking, learning_rate=rates, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def lamb(
    schedule: Callable[[float], Schedule],
    learning_rate: float = 1e-3,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-6,
    weight_decay: float = 1e-2,
    exclude_from_weight_decay: Sequence[str] = NOT_DECAYED,
    backbone_lr: float = 1.0,
) -> GroupedOptimizer:
    """LAMB: Adam's direction plus weight_decay · w, of the length of w; what is not decayed is not rescaled either."""
    _check_moments(beta_1, beta_2, epsilon)
    _check_decay(weight_decay)
    optimizers = decoupled()

    def make(rates, factor, decayed):
        return optimizers.LAMB(
            rates,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            weight_decay=weight_decay if decayed else 0.0,
            exclude_from_layer_adaptation=[] if decayed else [""],  # "" is found in every name
        )

    return GroupedOptimizer(make, schedule(learning_rate), backbone_lr, exclude_from_weight_decay)


def _check_moments(beta_1, beta_2, epsilon):
    check_numbers("[0, 1)", beta_1=beta_1, beta_2=beta_2)
    check_numbers("(0, inf)", epsilon=epsilon)


def _check_decay(weight_decay, decay=DECAYS[0]):
    check_numbers("[0, 1)", weight_decay=weight_decay)
    if decay not in DECAYS:
        raise ValueError(f"decay must be one of {', '.join(DECAYS)}, not {decay!r}")


def _decay_rate(weight_decay, decay, rates, first_rate):
    """The share by which the weights of a group shrink at a step, as a schedule or a number.

    `rates` are those of the group, and `first_rate` is the one that they begin with; 0 for a group that is not trained.
    """
    if decay == "constant" or not first_rate:
        return weight_decay if first_rate else 0.0
    return Scaled(rates, weight_decay if decay == "learning_rate" else weight_decay / first_rate)


def decoupled() -> types.ModuleType:
    """SGDW, AdamW and LAMB: of tensorflow-addons, or ours where it cannot be imported, as beside TensorFlow 2.21.

    Addons is imported without its notice that it is maintained no longer.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_addons
    except ImportError:
        return decoupled_optimizers
    return tensorflow_addons.optimizers


OPTIMIZERS = {"adam": adam, "adamw": adamw, "lamb": lamb, "sgd": sgd, "sgdw": sgdw}


def build_optimizer(
    part: Part,
    steps: int,
    schedule: Part = Part("poly"),  # noqa: B008 (frozen)
    *,
    stage: int = 0,
) -> GroupedOptimizer:
    """The optimizer of a stage of `steps` steps, with loss scaling under the policy mixed_float16.

    Args:
        part: of `OPTIMIZERS`.
        steps: of the stage.
        schedule: of `SCHEDULES`.
        stage: its index, for errors.

    Raises:
        ValueError: an unknown name or argument, or a value that makes no sense.
    """

    def scheduled(learning_rate):
        return build_schedule(schedule, learning_rate, steps, stage=stage)

    with at(f"stages[{stage}].optimizer"):
        if "schedule" in part.args:
            raise ValueError(f"{part.name!r} takes no 'schedule'; it is a field of the stage")
        optimizer = construct(OPTIMIZERS, part, schedule=scheduled)
        if not isinstance(optimizer, GroupedOptimizer):
            raise ValueError(f"{part.name!r} must make a GroupedOptimizer, not {type(optimizer).__name__}")
        return optimizer
