"""A trained model from wherever it is."""

import os

from deeplab_ksac.experiment import Experiment
from deeplab_ksac.models.folder import read_experiment, read_model
from deeplab_ksac.models.places import Place, find
from deeplab_ksac.runs.checkpoints import LoadedModel, load_model
from deeplab_ksac.runs.places import NEWEST, Checkpoint
from deeplab_ksac.runs.workdir import read_workdir


def load(
    source: str | os.PathLike | Place, *, checkpoint: Checkpoint = NEWEST, averaged: bool | None = None
) -> LoadedModel:
    """The trained model that a text names.

    Example:
        load("runs/scenes", checkpoint=1000)
        load("my_model")                 # a folder that `ksac save` or `Predictor.save` has written
        load("hf://user/name")

    Args:
        source: as `places.find`.
        checkpoint, averaged: of a run, as `runs.checkpoints.load_model`.

    Raises:
        OSError: there is no such model, or one of its files is missing.
        ValueError: one of its files is damaged; or a checkpoint or averages of a saved model, which has but one set of
            weights.
    """
    place = find(source)
    if place.is_run:
        return load_model(place.folder, checkpoint=checkpoint, averaged=averaged)
    if checkpoint != NEWEST or averaged is not None:
        asked = "checkpoint" if checkpoint != NEWEST else "averaged"
        raise ValueError(f"{place.source} is a saved model with one set of weights; {asked} is for training runs")
    return read_model(place.folder)


def experiment_of(source: str | os.PathLike | Place) -> Experiment:
    """The experiment by which a model was trained, of which no weights are read.

    Args:
        source: as `places.find`.

    Raises:
        OSError: there is no such model, or its description is missing.
        ValueError: its description is damaged.
    """
    place = find(source)
    return read_workdir(place.folder)[0] if place.is_run else read_experiment(place.folder)
