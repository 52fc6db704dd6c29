"""Where a run begins: published weights for its backbone, and what they ask of the model."""

import dataclasses

from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from deeplab_ksac.runs.workdir import read_workdir


def with_backbone_weights(experiment, weights, workdir):
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


def load_backbone_weights(model, backbone, weights):
    """Gives a segmentation model's backbone published weights; the rest keeps its own.

    Args:
        model: of `build_model`, of an experiment by `with_backbone_weights`.
        backbone: the `Part` it was built from.
        weights: as there.

    Raises:
        OSError: there is no such file.
        ValueError: it holds another network's weights; the message lists every tensor that does not fit.
    """
    load_weights(model, backbone.name, weights, backbone.args)
