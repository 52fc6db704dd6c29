"""What a stage trains with, made from an experiment: model, objective, optimizer."""

import dataclasses

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.construct import at
from deeplab_ksac.experiment import Experiment
from deeplab_ksac.losses import Objective, build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training.backbone_part import backbone_of, freeze_backbone
from deeplab_ksac.training.optimizers import GroupedOptimizer, build_optimizer
from deeplab_ksac.training.replica_copies import first_copy_saved


def build_parts(
    experiment: Experiment, index: int, num_classes: int, bands: Bands = RGB
) -> tuple[keras.Model, Objective, GroupedOptimizer]:
    """(model, objective, optimizer) of a stage, in the scope of its strategy, with all their variables.

    Args:
        experiment: what is trained.
        index: of the stage.
        num_classes: number of classes.
        bands: of the images, as `build_model` takes them.

    Raises:
        ValueError: parts that do not fit together; the message has the field's path.
    """
    stage = experiment.stages[index]
    with first_copy_saved():
        model = build_model(_with_norm_of(stage, experiment.model), num_classes, bands)
        objective = build_objective(experiment.losses, num_classes)
        objective.build(model.output)
    if stage.freeze is not None:
        with at(f"stages[{index}].freeze"):
            freeze_backbone(model, stage.freeze)
    optimizer = build_optimizer(stage.optimizer, stage.steps, stage.schedule, stage=index)
    backbone = backbone_of(model).trainable_variables if optimizer.backbone_lr != 1 else ()
    optimizer.build(model.trainable_variables, backbone)
    return model, objective, optimizer


def _with_norm_of(stage, model):
    """The model whose normalization keeps its statistics, where the stage freezes it."""
    return dataclasses.replace(model, norm={**model.norm, "fixed": True}) if stage.freeze_norm else model
