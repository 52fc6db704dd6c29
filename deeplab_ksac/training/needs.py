"""What a training step needs, found without running it: memory by part, and what replicas exchange."""

import dataclasses
import math

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.flops.count import count_multiply_adds, model_graph
from deeplab_ksac.flops.memory import Peak, peak_memory
from deeplab_ksac.losses import Objective
from deeplab_ksac.losses.class_aware import ClassAware
from deeplab_ksac.training.parts import build_parts
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy
from deeplab_ksac.zero_weights import zero_weights

BYTES = 4  # of a number; what replicas exchange is float32 in every precision


@dataclasses.dataclass(frozen=True)
class StepNeeds:
    """What a replica needs for a training step, in bytes unless said otherwise.

    Attributes:
        batch: images of a replica.
        weights: of the model, trained or not.
        averages: their moving averages; 0 without.
        optimizer: what it keeps for each trained weight.
        step: the peak of what the step itself makes: activations, gradients, intermediate results.
        exchanged: kind -> what a replica gives into sums over all replicas.
        exchanges: number of such sums that wait for each other; the gradients are one.
        multiply_adds: of the forward pass of one image, a number.
    """

    batch: int
    weights: int
    averages: int
    optimizer: int
    step: Peak
    exchanged: dict[str, int]
    exchanges: int
    multiply_adds: int

    @property
    def memory(self) -> int:
        """All of it together."""
        return self.weights + self.averages + self.optimizer + self.step.total


def step_needs(experiment: Experiment, num_classes: int, batch: int, *, stage: int = 0) -> StepNeeds:
    """The needs of a step of an experiment's stage, at its crop size and in float32.

    Args:
        experiment: what is trained; nothing of it is run, and its data are not read.
        num_classes: number of classes.
        batch: images of a replica.
        stage: index of the stage.

    Raises:
        ValueError: a part that does not fit, or a tensor whose size does not follow from the crop's.
    """
    plan = experiment.stages[stage]
    height, width = plan.data.crop_size
    strategy = create_strategy("one_device")
    with strategy.scope(), zero_weights():
        model, objective, optimizer = build_parts(experiment, stage, num_classes)
    options = {"l2": plan.l2, "accumulate": plan.accumulate, "clip_norm": plan.clip_norm}
    step = TrainStep(model, objective, optimizer, strategy, **options)
    size = [batch, height, width]
    example = {
        "image": tf.TensorSpec([*size, model.input_shape[-1]], tf.float32),
        "labels": tf.TensorSpec(size, tf.int32),
    }
    exchanged, exchanges = exchanged_bytes(model, objective)
    return StepNeeds(
        batch=batch,
        weights=_bytes(model.weights),
        averages=_bytes(model.weights) if plan.ema_decay else 0,
        optimizer=_bytes(optimizer.slots),
        step=peak_memory(step.concrete(example).graph),
        exchanged=exchanged,
        exchanges=exchanges,
        multiply_adds=sum(count_multiply_adds(model_graph(model, height, width, training=True)).values()),
    )


def exchanged_bytes(model: keras.Model, objective: Objective) -> tuple[dict[str, int], int]:
    """({kind: bytes that a replica gives into sums over all}, number of sums that wait for each other) of a step.

    A synchronized normalization of C channels needs three sums: of pixels and means, [2, C], of squares around the mean
    of all, [C], and in the backward pass [2, C]. Each layer waits for the one before it.
    Class centers of the batch are K × (C + 1) numbers: in the loss, in its gradient, and where they are measured.
    """
    norms = [layer for layer in model.submodules if getattr(layer, "synchronized", False)]
    centers = [
        loss.regularizer.num_classes * (channels + 1)
        for loss in objective.losses
        if isinstance(loss, ClassAware) and loss.regularizer.centers == "batch"
        for channels in _channels(model.output[loss.output])
    ]
    exchanged = {
        "gradients": _bytes(model.trainable_variables),
        "statistics": BYTES * sum(5 * layer.moving_mean.shape[0] for layer in norms),
        "class centers": BYTES * 3 * sum(centers),
    }
    return {kind: size for kind, size in exchanged.items() if size}, 1 + 3 * len(norms) + 3 * len(centers)


def seconds_of_exchange(
    needs: StepNeeds, devices: int, *, per_node: int, gigabits: float, microseconds: float
) -> float:
    """Seconds that the sums of a step take over a network, if nothing is computed meanwhile.

    Devices of a node add up without the network, and cost nothing here. Between m nodes the gradients go around a ring,
    2 · (m − 1) / m of their bytes over each node's link; each of the other sums goes up and down a tree, 2 · ⌈log₂ m⌉
    messages in a row.

    Args:
        needs: of a step.
        devices: number of replicas.
        per_node: of a node.
        gigabits: that a node's link carries a second, in each direction.
        microseconds: that a message takes beside its bytes.
    """
    nodes = math.ceil(devices / per_node)
    if nodes == 1:
        return 0.0
    carried = gigabits * 1e9 / 8
    ring = 2 * (nodes - 1) / nodes * needs.exchanged["gradients"] / carried
    depth = 2 * math.ceil(math.log2(nodes))
    small = sum(needs.exchanged.values()) - needs.exchanged["gradients"]
    return ring + depth * (needs.exchanges * microseconds * 1e-6 + small / carried)


def _channels(features):
    return [each.shape[-1] for each in tf.nest.flatten(features)]


def _bytes(variables):
    return sum(math.prod(variable.shape) * variable.dtype.size for variable in variables)
