"""A model that is trained on cached features of its frozen backbone: what it reads, and its outputs of a batch."""

import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.construct import at
from deeplab_ksac.datasets.cached_features import CACHE_AGAIN, CachedFeatures
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import Experiment, ModelSpec, Stage, to_dict
from deeplab_ksac.own_files import recorded_path
from deeplab_ksac.storage import local
from deeplab_ksac.training.backbone_part import backbone_of

NOT_OF_VIEWS = ("sources", "weights")  # fields of `Data` that say which pictures are drawn, not what a view shows


class CachedForward:
    """The outputs of a model for a batch of its backbone's features.

    Args:
        model: of `build_model`, image -> outputs by name.
        levels: of the pyramid, that a batch has; the model must read no others (`levels_read`).
    """

    def __init__(self, model: keras.Model, levels: Mapping[str, Any]):
        self.pyramid, self.levels = _pyramid_of(model), tuple(levels)
        self.behind = behind_backbone(model)
        self.bands = model.input.shape[-1]

    def __call__(self, batch: Mapping[str, tf.Tensor], *, training: bool = True) -> Mapping[str, tf.Tensor]:
        """{level: [N, h, w, C], "labels": [N, H, W]} -> the model's outputs for pictures of H × W pixels.

        Of the labels only the size is read.
        """
        labels = batch["labels"]
        image = tf.zeros(tf.concat([tf.shape(labels), [self.bands]], axis=0))  # the outputs take its size, and no value
        inputs = {"image": tf.ensure_shape(image, [*labels.shape, self.bands])}
        for level, maps in self.pyramid.items():
            there = level in self.levels
            inputs[level] = tf.cast(batch[level], maps.dtype) if there else _nothing(maps, tf.shape(labels)[0])
        return self.behind(inputs, training=training)


def _nothing(maps, number):
    """A level that nothing is computed from."""
    return tf.zeros([number, 1, 1, maps.shape[-1]], maps.dtype)


def _pyramid_of(model):
    """{level: symbolic maps} that the backbone inside of a model gives, the finest first."""
    return dict(sorted(backbone_of(model).output.items()))


def behind_backbone(model: keras.Model) -> keras.Model:
    """The part of a model behind its backbone: {"image", "c2" … "c5"} -> outputs; it shares the layers.

    Of "image" only the size is read.
    """
    return keras.Model({"image": model.input, **_pyramid_of(model)}, model.output)


def levels_read(model: keras.Model) -> list[str]:
    """The levels of the pyramid from which a model's outputs are computed, the finest first."""
    behind = behind_backbone(model)
    specs = {name: tf.TensorSpec([None, *maps.shape[1:]], maps.dtype) for name, maps in behind.input.items()}
    graph = tf.function(lambda inputs: behind(inputs, training=True)).get_concrete_function(specs)
    placeholders = dict(zip(sorted(specs), graph.inputs, strict=False))  # after them come the captured variables
    reached, waiting = set(), [output.op for output in graph.outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in reached:
            reached.add(operation.name)
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return [level for level in _pyramid_of(model) if placeholders[level].op.name in reached]


def features_folder(data_dir: str | os.PathLike, name: str) -> pathlib.Path:
    """The folder of cached features beside the converted data sets.

    Raises:
        ValueError: `data_dir` is in an object store: features are mapped into memory from a disk.
    """
    return local(data_dir, "the data sets of cached features") / name


def backbone_facts(spec: ModelSpec) -> dict[str, Any]:
    """What a `ModelSpec` says of its backbone's values: fields of `datasets.cached_features.Header`."""
    norm = {name: value for name, value in spec.norm.items() if name not in ("momentum", "fixed", "synchronized")}
    return {"backbone": _recorded(spec.backbone), "norm": norm, "output_stride": spec.output_stride}


def view_facts(stage: Stage) -> dict[str, Any]:
    """What a `Stage` says of a view of a picture: the field "data" of `datasets.cached_features.Header`."""
    facts = {name: value for name, value in to_dict(stage.data).items() if name not in NOT_OF_VIEWS}
    return {**facts, "augmentations": [_recorded(each) for each in stage.data.augmentations]}


def _recorded(part):
    """A part as a run's folder has it, wherever the file of one's own is that it comes from."""
    return {**to_dict(part), "name": recorded_path(part.name)}


def weights_checksum(model: keras.Model) -> str:
    """SHA-256 of the weights of a model's backbone, in their order."""
    digest = hashlib.sha256()
    for variable in backbone_of(model).variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def cached_features(experiment: Experiment, index: int, data_dir: str | os.PathLike) -> CachedFeatures | None:
    """The features that a stage of an experiment is trained on; None where it is trained on pictures.

    Raises:
        OSError: there are none of that name.
        ValueError: they are damaged, not complete, or of other pictures, views or another backbone; or `data_dir` is in
            an object store.
    """
    stage = experiment.stages[index]
    if stage.features is None:
        return None
    with at(f"stages[{index}].features"):
        cached = CachedFeatures(features_folder(data_dir, stage.features), stage.data.sources, data_dir)
        check_views(cached, experiment.model, stage)
    return cached


def check_views(cached: CachedFeatures, spec: ModelSpec, stage: Stage) -> None:
    """Makes sure that cached features are of the backbone that an experiment has and of views as its stage cuts them.

    Raises:
        ValueError: they are not; the message lists the difference.
    """
    header = cached.header
    then = {name: getattr(header, name) for name in ("data", "backbone", "norm", "output_stride")}
    changed = differences(then, {"data": view_facts(stage), **backbone_facts(spec)})
    if changed:
        raise ValueError(f"{cached.folder} holds features of another experiment: {'; '.join(changed)}; {CACHE_AGAIN}")


def check_levels(cached: CachedFeatures, model: keras.Model) -> None:
    """Makes sure that a model reads no level of the pyramid that cached features do not have.

    Raises:
        ValueError: it does.
    """
    missing = [level for level in levels_read(model) if level not in cached.header.levels]
    if missing:
        kept = ", ".join(cached.header.levels)
        raise ValueError(
            f"{cached.folder} has the levels {kept}, and the model reads {', '.join(missing)} too; cache the features "
            "with --levels that name them all"
        )


def check_weights(cached: CachedFeatures, model: keras.Model) -> None:
    """Makes sure that a model's backbone has the weights that cached features were computed with.

    Raises:
        ValueError: it has others.
    """
    if weights_checksum(model) != cached.header.weights:
        raise ValueError(
            f"{cached.folder} holds features of another backbone's weights than the model begins with; theirs are "
            f"{cached.header.weights_from}"
        )
