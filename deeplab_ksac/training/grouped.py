"""One optimizer for each group of variables: other rates for the backbone, no decay for biases and normalization."""

import re

import tensorflow as tf
from tensorflow import keras

from deeplab_ksac.training.loss_scale import LossScale
from deeplab_ksac.training.plateau import Plateau
from deeplab_ksac.training.schedules import Scaled, check


class GroupedOptimizer(tf.Module):
    """Optimizers that follow one schedule, each for its group of variables.

    A group of its own is what makes a ratio of learning rates exact for every optimizer and under every strategy: to
    scale the gradients would change nothing for Adam. Gradients come summed over the replicas.

    Args:
        make: (rates, factor, decayed) -> a Keras optimizer, of the present or the legacy kind, for a group whose rates
            are `factor` times the schedule's, and whose weights decay or do not.
        schedule: the rates of all but the backbone, a `LearningRateSchedule`.
        backbone_lr: factor of the backbone's rates; 0 keeps its weights as they are.
        exempt: regular expressions; a variable whose name one of them finds does not decay.
    """

    def __init__(self, make, schedule, backbone_lr=1.0, exempt=()):
        check(backbone_lr=(backbone_lr, 0 <= backbone_lr < float("inf")))
        super().__init__(name="optimizer")
        self.make, self.schedule, self.backbone_lr, self.exempt = make, schedule, backbone_lr, tuple(exempt)
        self.groups, self._backbone = {}, frozenset()
        half = keras.mixed_precision.global_policy().name == "mixed_float16"
        self.loss_scale = LossScale() if half else None
        self.plateau = next((x for x in _chain(schedule) if isinstance(x, Plateau)), None)
        self.plateau_state = None if self.plateau is None else self.plateau.state

    def build(self, variables, backbone=()):
        """Makes the variables of the optimizers, once; before a checkpoint is read.

        Args:
            variables: what is trained.
            backbone: those of them that `backbone_lr` is for.

        Raises:
            ValueError: there is a ratio, but no variable that it is for.
        """
        if self.groups:
            return
        if self.backbone_lr != 1 and not len(backbone):
            raise ValueError(f"backbone_lr is {self.backbone_lr}, but the variables of the backbone are not known")
        if self.backbone_lr != 1:
            self._backbone = frozenset(variable.ref() for variable in backbone)
        members = {}
        for variable in variables:
            members.setdefault(self.group_of(variable), []).append(variable)
        groups = {key: self._optimizer(key) for key in sorted(members)}
        for key, optimizer in groups.items():
            create_variables(optimizer, members[key])
        self.groups = groups

    def group_of(self, variable):
        """The name of a variable's group, such as "backbone_decayed"."""
        place = "backbone" if variable.ref() in self._backbone else "head"
        exempt = any(re.search(pattern, variable.name) for pattern in self.exempt)
        return f"{place}_{'exempt' if exempt else 'decayed'}"

    def _optimizer(self, key):
        factor = self.backbone_lr if key.startswith("backbone") else 1.0
        rates = self.schedule if factor == 1 else Scaled(self.schedule, factor)
        return self.make(rates, factor, key.endswith("decayed"))

    def apply(self, gradients_and_variables):
        """Moves the variables, in a replica's context; the gradients are summed over the replicas already."""
        members = {key: [] for key in self.groups}
        for gradient, variable in gradients_and_variables:
            members[self.group_of(variable)].append((gradient, variable))
        for key, optimizer in self.groups.items():
            if not members[key]:
                optimizer.iterations.assign_add(1)
            elif is_legacy(optimizer):
                optimizer.apply_gradients(members[key], experimental_aggregate_gradients=False)
            else:
                optimizer.apply_gradients(members[key], skip_gradients_aggregation=True)

    def skip(self):
        """Counts a step without moving anything, outside of a replica's context."""
        for optimizer in self.groups.values():
            optimizer.iterations.assign_add(1)

    def observe(self, loss):
        """Shows the schedule the loss of a step, averaged over the replicas, outside of a replica's context."""
        if self.plateau is not None:
            self.plateau.observe(loss)

    @property
    def iterations(self):
        """The steps taken, skipped ones among them."""
        return next(iter(self.groups.values())).iterations

    @property
    def learning_rate(self):
        """The rate of the last step taken, of all but the backbone; a scalar tensor."""
        return self.schedule(tf.maximum(self.iterations.read_value() - 1, 0))


def create_variables(optimizer, variables):
    """Makes the moments of an optimizer."""
    if is_legacy(optimizer):
        optimizer.iterations  # noqa: B018 (is made when it is first read)
        optimizer._create_all_weights(variables)  # the legacy kind has no other way but a step
    else:
        optimizer.build(variables)


def is_legacy(optimizer):
    """Whether an optimizer is of the kind that tensorflow-addons derives its own from."""
    return isinstance(optimizer, keras.optimizers.legacy.Optimizer)


def backbone_variables(model):
    """The trainable variables between image and pyramid of a `deeplab_ksac.model.segmentation_model`.

    Raises:
        ValueError: a model that has no layer "head".
    """
    names = {layer.name for layer in model.layers}
    first = next((name for name in ("neck", "head") if name in names), None)
    if first is None:
        raise ValueError(f"{model.name} has no layer 'head', so that backbone_lr does not say what it is for")
    return keras.Model(model.input, model.get_layer(first).input).trainable_variables


def _chain(schedule):
    """The schedule and those that it wraps."""
    while schedule is not None:
        yield schedule
        schedule = getattr(schedule, "after", None) or getattr(schedule, "schedule", None)
