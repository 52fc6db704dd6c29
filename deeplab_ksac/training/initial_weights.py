"""The weights that a stage begins with: the previous stage's, another model's, or published ones of its backbone."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import TIMM_FILES, load_weights, weight_arguments
from deeplab_ksac.bands import RGB
from deeplab_ksac.construct import with_defaults
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import Experiment, Part, to_dict
from deeplab_ksac.losses import Objective
from deeplab_ksac.models import hub
from deeplab_ksac.models.loading import load
from deeplab_ksac.own_files import recorded_path
from deeplab_ksac.runs.checkpoints import checkpoint_path, restore_objective, restore_weights
from deeplab_ksac.runs.workdir import read_workdir
from deeplab_ksac.storage import is_remote, place
from deeplab_ksac.storage.copies import kept_on_this_machine
from deeplab_ksac.training.class_transfer import plan_transfer

NAMED_AT_MOST = 8
SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors")  # of files of weights


def initialize(
    model: keras.Model,
    backbone: Part,
    workdir: str | os.PathLike,
    stage: int,
    init_from: str | os.PathLike | None = None,
    backbone_weights: str | None = None,
    *,
    allow_new_layers: bool = False,
    allow_code: bool = False,
    class_names: Sequence[str] | None = None,
    objective: Objective | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Gives the model of a stage the weights that it begins with; without any it keeps its initializers'.

    Args:
        model: of `build_model`, of an experiment by `with_backbone_weights`.
        backbone: the part that its backbone was built from.
        workdir: the run's folder; every stage but the first takes the last weights (no averages) of the one before, and
            what the objective keeps (CAR's moving centers).
        stage: its index.
        init_from: a trained model whose weights the first stage starts from, as `models.places.find` takes it.
        backbone_weights: published weights that the first stage's backbone starts from, as `with_backbone_weights`.
        allow_new_layers: whether most layers may be new where the weights are another model's.
        allow_code: whether the code may be run that the other brings along, where it is a saved model.
        class_names: of the model; where those of the other differ, its classifiers' weights are taken by name. None
            for the same.
        objective: of the stage; None where it keeps nothing.
        tell: called with a line that says what was taken from the other and what stays new.

    Raises:
        OSError: there is no such file.
        ValueError: there are other weights than the model's, of which nothing is taken; the message lists what does not
            fit.
    """
    if stage > 0:
        path = checkpoint_path(workdir, stage=stage - 1)
        restore_weights(model, path, averaged=False)
        if objective is not None:
            restore_objective(objective, path)
    elif init_from is not None:
        loaded = load(init_from, allow_code=allow_code)
        _take_from(loaded, init_from, model, backbone, class_names, allow_new_layers, tell)
    elif backbone_weights is not None:
        load_weights(model, backbone.name, _on_this_machine(backbone_weights), backbone.args)


def _take_from(loaded, source, model, backbone, class_names, allow_new_layers, tell):
    """Gives a model what it can take from a trained one, and tells what that is."""
    trained, channels = loaded.info.bands, model.input_shape[-1]
    if trained.number not in (channels, RGB.number):
        raise ValueError(
            f"{source} was trained on pictures of {trained.describe()}, and the model to be trained takes {channels}; "
            f"start from one of {channels} or of RGB, whose first kernel is adapted"
        )
    transfer = plan_transfer(loaded, model, loaded.info.class_names if class_names is None else class_names)
    if not transfer.taken:
        raise ValueError(f"{source} is of another model: no layer of the one to be trained has its weights there")
    told = f"{len(transfer.taken)} of {transfer.count} layers have the weights of {source}, step {loaded.step}"
    told += f"; new are {_listed(transfer.new)}" if transfer.new else ""
    if len(transfer.new) > transfer.count / 2 and not allow_new_layers:
        raise ValueError(f"only {told}; take a run of the same model, or allow it (--allow_new_layers)")
    if trained.number != channels:
        told += f"; the first kernel, of RGB, is adapted to {channels} bands"
    if not transfer.classes:
        told += "; no class in common, so the classifiers are new"
    elif transfer.new_classes:
        told += f"; classes with weights: {_listed(transfer.classes)}; new classes: {_listed(transfer.new_classes)}"
    backbones = loaded.experiment.model.backbone, backbone
    given = {argument for each in backbones for argument in each.args}
    recorded = [
        {**to_dict(with_defaults(BACKBONES, each, given)), "name": recorded_path(each.name)} for each in backbones
    ]
    changed = differences(*recorded, "backbone")
    told += f"; they were trained with other settings: {', '.join(changed)}" if changed else ""
    transfer.carry_out()
    tell(told)


def _listed(names):
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def with_backbone_weights(experiment: Experiment, weights: str | None, workdir: str | os.PathLike) -> Experiment:
    """The experiment whose backbone is what a weight set is made for: its preprocessing, epsilon, padding and strides.

    Arguments that the experiment itself gives to its backbone stay. The result says all that the model is, so that a
    run's folder is read without the file, and a run that was begun there goes on without it.

    Args:
        experiment: an `Experiment`.
        weights: "imagenet", or the path of an h5 file of Keras, of a safetensors file of timm or of its folder, or
            "hf://timm/name" for such a folder on Hugging Face's hub; None changes nothing.
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
        arguments = {**weight_arguments(backbone.name, _on_this_machine(weights)), **backbone.args}
    model = dataclasses.replace(experiment.model, backbone=dataclasses.replace(backbone, args=arguments))
    return dataclasses.replace(experiment, model=model)


def _on_this_machine(weights):
    """A weight set's path; one on the hub or in an object store is fetched."""
    if hub.is_address(weights):
        return str(hub.fetched(weights, TIMM_FILES))
    if not is_remote(weights):
        return weights
    file, config = TIMM_FILES
    path = place(weights)
    return str(kept_on_this_machine(path if path.suffix in SUFFIXES else path / file, beside=[config]))


def _recorded(workdir, backbone):
    """The arguments of the backbone with which the run in a folder began; None without a run of that backbone."""
    try:
        recorded = read_workdir(workdir)[0].model.backbone
    except FileNotFoundError:
        return None
    known = recorded.name == backbone.name and {**recorded.args, **backbone.args} == recorded.args
    return recorded.args if known else None
