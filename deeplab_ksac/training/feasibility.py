"""Whether the stages of an experiment can be trained where they are to be, as far as it is known before the first step.

What is found here is found before a run's folder is made, and before earlier stages have been trained.
"""

import os

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.construct import at, bound
from deeplab_ksac.experiment import BACKBONE_STAGES, Experiment
from deeplab_ksac.losses import Objective
from deeplab_ksac.model import with_small_logits
from deeplab_ksac.training.backbone_part import backbone_of
from deeplab_ksac.training.cached_backbone import cached_features, check_levels, check_weights
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.recompute import Recomputed


def check_without_model(experiment: Experiment, strategy: tf.distribute.Strategy) -> None:
    """Checks what of all stages is known without a model: optimizers, augmentations, how batches are shared.

    Raises:
        ValueError: something that cannot be; the message begins with the field's path.
    """
    for index, stage in enumerate(experiment.stages):
        build_optimizer(stage.optimizer, stage.steps, stage.schedule, stage=index)
        for number, each in enumerate(stage.data.augmentations):
            with at(f"stages[{index}].data.augmentations[{number}]"):
                bound(each, "example", "seed")
        replicas = strategy.num_replicas_in_sync
        share, rest = divmod(stage.batch_size, replicas)
        if rest:
            raise ValueError(
                f"stages[{index}].batch_size: {stage.batch_size} examples cannot be shared evenly by {replicas} "
                f"replicas; take a multiple of {replicas}, or fewer devices"
            )
        if share % stage.accumulate:
            raise ValueError(
                f"stages[{index}].accumulate: a replica's {share} examples of a batch cannot be split into "
                f"{stage.accumulate} equal parts; take a divisor of {share}"
            )


def check_with_model(
    experiment: Experiment, model: keras.Model, objective: Objective, data_dir: str | os.PathLike
) -> None:
    """Checks what of all stages is known from the model and the objective of the first.

    Raises:
        OSError, ValueError: something that cannot be; the message begins with the field's path.
    """
    for index, stage in enumerate(experiment.stages):
        path = f"stages[{index}]"
        with at(f"{path}.data.crop_size"):
            objective.check_sides(*stage.data.crop_size)
        if stage.freeze is not None:
            with at(f"{path}.freeze"):
                backbone_of(model, stage.freeze)
        if stage.recompute:
            with at(path):
                Recomputed(with_small_logits(model))
        if stage.features is not None:
            with at(f"{path}.features"):
                check_levels(cached_features(experiment, index, data_dir), model)


def check_features(experiment: Experiment, model: keras.Model, data_dir: str | os.PathLike) -> None:
    """Checks that cached features of any stage are of the weights that the backbone begins with.

    Args:
        model: with the weights that the first stage begins with.

    Raises:
        OSError, ValueError: they are not, or an earlier stage trains the backbone; the message begins with the field's
            path.
    """
    for index, stage in enumerate(experiment.stages):
        if stage.features is None:
            continue
        for earlier, other in enumerate(experiment.stages[:index]):
            if other.freeze != BACKBONE_STAGES[-1]:
                raise ValueError(
                    f"stages[{index}].features are of a backbone that stages[{earlier}] trains first; train on them "
                    f"in a run of its own, or set stages[{earlier}].freeze to {BACKBONE_STAGES[-1]!r}"
                )
        with at(f"stages[{index}].features"):
            check_weights(cached_features(experiment, index, data_dir), model)
