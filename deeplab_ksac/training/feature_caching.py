"""Caching the features of a frozen backbone: its pyramid computed once for fixed views of every picture, and stored."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.construct import at, bound
from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.cached_features import HEADER_FILE, LABELS, Header, read_header, source_sizes, views_done
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import filenames, view_batches
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import Experiment, to_dict
from deeplab_ksac.model import build_model
from deeplab_ksac.only_one import only_one
from deeplab_ksac.training.backbone_part import backbone_of
from deeplab_ksac.training.cached_backbone import (
    backbone_facts,
    features_folder,
    levels_read,
    view_facts,
    weights_checksum,
)
from deeplab_ksac.training.initial_weights import initialize, with_backbone_weights
from deeplab_ksac.whole_files import check_writable, remove_partial, unwritable

LOCK_FILE = ".caching.lock"
RANDOM = "the initializers', by the experiment's seed"


def cache_features(
    experiment: Experiment,
    *,
    data_dir: str | os.PathLike,
    name: str,
    views: int = 4,
    seed: int = 0,
    stage: int = 0,
    levels: Sequence[str] = (),
    batch_size: int = 8,
    init_from: str | os.PathLike | None = None,
    backbone_weights: str | None = None,
    allow_code: bool = False,
    progress: Callable[..., Any] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Header:
    """Computes what an experiment's backbone makes of fixed views of its training pictures, and stores it.

    A stage with `features=name`, `freeze="c5"` and the same data and backbone is then trained on it in place of the
    pictures. A call that was stopped is continued by the same call, to the same bytes.

    Args:
        experiment: whose backbone, and whose stage's data say how a view is cut.
        data_dir: where converted data sets are; the features become a folder there.
        name: of that folder.
        views: of each picture.
        seed: of the views; the experiment's own is that of random weights.
        stage: index of the stage.
        levels: of the pyramid, that are stored; () for those that the experiment's model reads.
        batch_size: views at a time.
        init_from, backbone_weights, allow_code: where the backbone's weights come from, as `loop.train`.
        progress: (total, label, start) -> an object with `update(n)` and `close()`.
        tell: called with lines that say what was taken from `init_from`.

    Returns:
        What was written of them as features.json.

    Raises:
        ValueError: the folder holds features of something else, the stage is not there, or a level; `data_dir` is in an
            object store; or a feature is too large for half precision.
        OSError: there is no room for them, or they cannot be written; or another process is writing them.
    """
    if not 0 <= stage < len(experiment.stages):
        raise ValueError(f"stage must be below {len(experiment.stages)}, the number of stages, not {stage}")
    if init_from is not None and backbone_weights is not None:
        raise ValueError("the backbone's weights come from init_from or from backbone_weights, not from both")
    folder, planned = features_folder(data_dir, name), experiment.stages[stage]
    experiment = with_backbone_weights(experiment, backbone_weights, folder)
    sizes = source_sizes(planned.data.sources, data_dir)
    info = load_info(next(iter(sizes)).partition("/")[0], data_dir)
    keras.utils.set_random_seed(experiment.seed)
    model = build_model(experiment.model, info.num_classes, info.bands)
    initialize(
        model, experiment.model.backbone, folder, 0, init_from, backbone_weights,
        allow_new_layers=True, allow_code=allow_code, class_names=info.class_names, tell=tell,
    )  # fmt: skip
    backbone = backbone_of(model)
    unknown = [level for level in levels if level not in backbone.output]
    if unknown:
        raise ValueError(f"levels: the backbone has {', '.join(backbone.output)}, not {unknown[0]!r}")
    kept = sorted(levels) or levels_read(model)
    compute = _pyramid_function(backbone, kept)
    sample = compute(tf.zeros([1, *planned.data.crop_size, info.bands.number]))
    header = Header(
        data=view_facts(planned),
        sources=sizes,
        records=sum(records for records, _ in sizes.values()),
        views=views,
        seed=seed,
        **backbone_facts(experiment.model),
        weights=weights_checksum(model),
        weights_from=str(init_from or backbone_weights or RANDOM),
        levels={level: sample[level].shape.as_list()[1:] for level in kept},
        crop_size=list(planned.data.crop_size),
        batch_size=batch_size,
    )
    with only_one(folder / LOCK_FILE, busy=lambda holder: OSError(f"{folder} is being written by {holder}")):
        first = _prepare(folder, header)
        _write(folder, header, first, compute, planned.data, data_dir, progress)
    return header


def _pyramid_function(backbone, levels):
    """The function of pictures [N, H, W, C] -> {level: float16 features}, compiled once for each number of pictures."""

    @tf.function
    def compute(image):
        pyramid = backbone(image, training=False)
        return {level: tf.cast(pyramid[level], tf.float16) for level in levels}

    return compute


def _prepare(folder, header):
    """The position of the first view that is still to be computed; what is there behind it is cut off."""
    remove_partial(folder, [HEADER_FILE])
    if (folder / HEADER_FILE).exists():
        changed = differences(*(_plain(each) for each in (read_header(folder), header)))
        if changed:
            raise ValueError(
                f"{folder} holds features of something else: {'; '.join(changed)}; take another name, or remove it"
            )
    else:
        check_writable(folder)
        header.write(folder)
    done = views_done(folder, header)
    first = done if done == header.count else done - done % header.batch_size
    needed, free = (header.count - first) * header.view_bytes(), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder} would take {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free; take fewer views, "
            "smaller crops or fewer levels"
        )
    for name, dtype, shape in header.arrays().values():
        with (folder / name).open("ab") as stream:
            stream.truncate(first * dtype.itemsize * int(np.prod(shape)))
    return first


def _plain(header):
    """A header's fields as JSON has them, without the words on the weights, whose checksum counts."""
    fields = to_dict({field.name: getattr(header, field.name) for field in dataclasses.fields(header)})
    return {name: value for name, value in fields.items() if name != "weights_from"}


def _write(folder, header, first, compute, data, data_dir, progress):
    """Appends the features of all views from position `first` on."""
    with contextlib.ExitStack() as opened:
        shown = progress and opened.enter_context(
            contextlib.closing(progress(header.count, "cache features", start=first))
        )
        streams = {
            name: opened.enter_context((folder / file).open("ab")) for name, (file, *_) in header.arrays().items()
        }
        for batch in _batches(header, first, data, data_dir):
            values = {name: feature.numpy() for name, feature in compute(batch["image"]).items()}
            _check_finite(values, header, first, data, data_dir)
            values[LABELS] = batch[LABELS].numpy().astype(np.uint8)
            for name, stream in streams.items():
                _append(stream, values[name])
            first += len(values[LABELS])
            if shown:
                shown.update(len(values[LABELS]))


def _batches(header, first, data, data_dir) -> Iterator:
    augmentations = []
    for number, each in enumerate(data.augmentations):
        with at(f"data.augmentations[{number}]"):
            augmentations.append(bound(each, "example", "seed"))
    fields = {name: value for name, value in vars(data).items() if name != "weights"}
    arguments = {**fields, "augmentations": augmentations, "data_dir": data_dir}
    return iter(
        view_batches(**arguments, seed=header.seed, views=header.views, batch_size=header.batch_size, first=first)
    )


def _append(stream, values):
    try:
        stream.write(np.ascontiguousarray(values).tobytes())
        stream.flush()
    except OSError as error:
        raise unwritable(stream.name, error) from error


def _check_finite(values, header, first, data, data_dir):
    """Raises ValueError for a feature that is not finite in half precision, with the picture's name."""
    for level, features in values.items():
        finite = np.isfinite(features).all(axis=(1, 2, 3))
        if not finite.all():
            record = (first + int(np.argmin(finite))) % header.records
            named = filenames(RecordTable(data.sources, data_dir), [record])[0]
            raise ValueError(f"the features {level} of {named} are not finite in half precision (above 65,504)")
