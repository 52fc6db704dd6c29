"""The weights that a stage begins with: the previous stage's, another run's, or published ones of its backbone."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from deeplab_ksac.experiment import Experiment, Part
from deeplab_ksac.runs.checkpoints import checkpoint_path, load_model, restore_weights
from deeplab_ksac.runs.workdir import read_workdir

CLASSIFIERS = ("classifier", "auxiliary")  # layers whose outputs are classes
NAMED_AT_MOST = 8


def initialize(
    model: keras.Model,
    backbone: Part,
    workdir: str | os.PathLike,
    stage: int,
    init_from: str | os.PathLike | None = None,
    backbone_weights: str | None = None,
    *,
    allow_new_layers: bool = False,
    class_names: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Gives the model of a stage the weights that it begins with; without any it keeps its initializers'.

    Args:
        model: of `build_model`, of an experiment by `with_backbone_weights`.
        backbone: the part that its backbone was built from.
        workdir: the run's folder; every stage but the first takes the last weights (no averages) of the one before.
        stage: its index.
        init_from: workdir of a run whose weights the first stage starts from.
        backbone_weights: published weights that the first stage's backbone starts from, as `with_backbone_weights`.
        allow_new_layers: whether most layers may be new where the weights are another run's.
        class_names: of the model; where those of the other run differ, its classifiers are not taken.
        tell: called with a line that says what was taken from another run and what stays new.

    Raises:
        OSError: there is no such file.
        ValueError: there are other weights than the model's; the message lists what does not fit.
    """
    if stage > 0:
        restore_weights(model, checkpoint_path(workdir, stage=stage - 1), averaged=False)
    elif init_from is not None:
        loaded = load_model(init_from)
        others = class_names is not None and tuple(class_names) != tuple(loaded.info.class_names)
        new = copy_weights(loaded.model, model, without=CLASSIFIERS if others else ())
        number = sum(bool(layer.weights) for layer in model.layers)
        told = f"{number - len(new)} of {number} layers have the weights of {init_from}, step {loaded.step}"
        told += f"; new are {_listed(new)}" if new else ""
        if len(new) > number / 2 and not allow_new_layers:
            raise ValueError(f"only {told}; take a run of the same model, or allow it (--allow_new_layers)")
        tell(told)
    elif backbone_weights is not None:
        load_weights(model, backbone.name, backbone_weights, backbone.args)


def _listed(names):
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def copy_weights(source: keras.Model, target: keras.Model, *, without: Sequence[str] = ()) -> list[str]:
    """Copies the weights of equally named layers whose shapes agree; returns the names of the layers left alone.

    Args:
        source, target: the models.
        without: names of layers that are left alone in any case.

    Raises:
        ValueError: no layer agrees.
    """
    left, copied = [], 0
    for layer in target.layers:
        if not layer.weights:
            continue
        twin = next((other for other in source.layers if other.name == layer.name), None)
        if layer.name in without or twin is None or [w.shape for w in twin.weights] != [w.shape for w in layer.weights]:
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
