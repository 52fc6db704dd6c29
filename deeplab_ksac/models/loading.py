"""A trained model from wherever it is."""

import os

from deeplab_ksac.experiment import Experiment
from deeplab_ksac.models.folder import read_experiment, read_model
from deeplab_ksac.models.places import Place, find
from deeplab_ksac.runs.checkpoints import LoadedModel, load_model
from deeplab_ksac.runs.places import NEWEST, Checkpoint
from deeplab_ksac.runs.workdir import read_workdir


def load(
    source: str | os.PathLike | Place,
    *,
    checkpoint: Checkpoint = NEWEST,
    averaged: bool | None = None,
    allow_code: bool = False,
) -> LoadedModel:
    """The trained model that a text names.

    Example:
        load("runs/scenes", checkpoint=1000)
        load("my_model")                 # a folder that `ksac save` or `Predictor.save` has written
        load("hf://user/name")

    Args:
        source: as `places.find`.
        checkpoint, averaged: of a run, as `runs.checkpoints.load_model`.
        allow_code: whether code of its own may be run, where a saved model has some. A run's is run in any case: what
            its experiment.json names.

    Raises:
        OSError: there is no such model, or one of its files is missing.
        ValueError: one of its files is damaged; code of its own that is not allowed; or a checkpoint or averages of a
            saved model, which has but one set of weights.
    """
    place = find(source)
    if place.is_run:
        return load_model(place.folder, checkpoint=checkpoint, averaged=averaged)
    if checkpoint != NEWEST or averaged is not None:
        asked = "checkpoint" if checkpoint != NEWEST else "averaged"
        raise ValueError(f"{place.source} is a saved model with one set of weights; {asked} is for training runs")
    return read_model(place.folder, allow_code=allow_code or place.allow_code)


def experiment_of(source: str | os.PathLike | Place, *, allow_code: bool = False) -> Experiment:
    """The experiment by which a model was trained, of which no weights are read.

    Args:
        source: as `places.find`.
        allow_code: as `load`.

    Raises:
        OSError: there is no such model, or its description is missing.
        ValueError: its description is damaged, or names code of its own that is not allowed.
    """
    place = find(source)
    if place.is_run:
        return read_workdir(place.folder)[0]
    return read_experiment(place.folder, allow_code=allow_code or place.allow_code)
