"""The weights that a stage begins with: the previous stage's, another run's, or published ones of its backbone."""

import dataclasses
import os

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from deeplab_ksac.experiment import Experiment, Part
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model, restore_weights
from deeplab_ksac.runs.workdir import read_workdir


def initialize(
    model: keras.Model,
    backbone: Part,
    workdir: str | os.PathLike,
    stage: int,
    init_from: str | os.PathLike | None = None,
    backbone_weights: str | None = None,
) -> None:
    """Gives the model of a stage the weights that it begins with; without any it keeps its initializers'.

    Args:
        model: of `build_model`, of an experiment by `with_backbone_weights`.
        backbone: the part that its backbone was built from.
        workdir: the run's folder; every stage but the first takes the last weights (no averages) of the one before.
        stage: its index.
        init_from: workdir of a run whose weights the first stage starts from.
        backbone_weights: published weights that the first stage's backbone starts from, as `with_backbone_weights`.

    Raises:
        OSError: there is no such file.
        ValueError: there are other weights than the model's; the message lists what does not fit.
    """
    if stage > 0:
        restore_weights(model, checkpoint_path(workdir, stage=stage - 1), averaged=False)
    elif init_from is not None:
        copy_weights(load_model(init_from).model, model)
    elif backbone_weights is not None:
        load_weights(model, backbone.name, backbone_weights, backbone.args)


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies the weights of equally named layers whose shapes agree; returns the names of the layers left alone.

    Raises:
        ValueError: no layer agrees.
    """
    left, copied = [], 0
    for layer in target.layers:
        if not layer.weights:
            continue
        twin = next((other for other in source.layers if other.name == layer.name), None)
        if twin is None or [w.shape for w in twin.weights] != [w.shape for w in layer.weights]:
            left.append(layer.name)
            continue
        layer.set_weights(twin.get_weights())
        copied += 1
    if not copied:
        raise ValueError("the two models have no layer in common")
    return left


def with_backbone_weights(experiment: Experiment, weights: str | None, workdir: str | os.PathLike) -> Experiment:
    """The experiment whose backbone is what a weight set is made for: its preprocessing, epsilon, padding and strides.

    Arguments that the experiment itself gives to its backbone stay. The result says all that the model is, so that a
    run's folder is read without the file, and a run that was begun there goes on without it.

    Args:
        experiment: an `Experiment`.
        weights: "imagenet", or the path of an h5 file of Keras or a safetensors file of timm; None changes nothing.
        workdir: the run's folder.

    Raises:
        OSError: there is no such file.
        ValueError: there are no such weights for the backbone.
    """
    if weights is None:
        return experiment
    backbone = experiment.model.backbone
    arguments = _recorded(workdir, backbone)
    if arguments is None:
        arguments = {**weight_arguments(backbone.name, weights), **backbone.args}
    model = dataclasses.replace(experiment.model, backbone=dataclasses.replace(backbone, args=arguments))
    return dataclasses.replace(experiment, model=model)


def _recorded(workdir, backbone):
    """The arguments of the backbone with which the run in a folder began; None without a run of that backbone."""
    try:
        recorded = read_workdir(workdir)[0].model.backbone
    except FileNotFoundError:
        return None
    known = recorded.name == backbone.name and {**recorded.args, **backbone.args} == recorded.args
    return recorded.args if known else None
