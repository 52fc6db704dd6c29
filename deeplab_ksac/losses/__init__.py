"""Losses: each names the output it reads and returns named scalars; nothing else touches labels.

A scalar is scaled so that its mean over the replicas is the loss of the global batch.
"""

from collections.abc import Iterable

from deeplab_ksac.construct import at, construct
from deeplab_ksac.experiment import Part
from deeplab_ksac.losses.affinity import AffinityLoss
from deeplab_ksac.losses.class_aware import ClassAware
from deeplab_ksac.losses.dice import Dice
from deeplab_ksac.losses.objective import Objective
from deeplab_ksac.losses.pixel import CrossEntropy, Focal, HardPixels

LOSSES = {
    "affinity": AffinityLoss,
    "class_aware": ClassAware,
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "ohem": HardPixels,
}


def build_objective(parts: Iterable[Part], num_classes: int) -> Objective:
    """The objective of an experiment's `losses`.

    Raises:
        ValueError: an unknown name or argument, or a value that makes no sense.
    """
    losses = []
    for index, part in enumerate(parts):
        with at(f"losses[{index}]"):
            loss = construct(LOSSES, part, num_classes=num_classes)
            if not callable(loss):
                raise ValueError(f"{part.name!r} must make a function (outputs, labels) -> terms, not {loss!r}")
            losses.append(loss)
    return Objective(losses)
