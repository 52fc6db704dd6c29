"""The files next to the shards of a converted data set: our description, and that of tensorflow-datasets."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.band_pictures import measured
from deeplab_ksac.datasets.info import IGNORE_LABEL, ConvertedInfo, DatasetInfo, save_info
from deeplab_ksac.datasets.shards import WrittenShard
from deeplab_ksac.datasets.stored import index_path, shard_name, write_index
from deeplab_ksac.storage import Place, is_remote
from deeplab_ksac.storage.copies import upload_folder

TRAIN = "train"
OF_TENSORFLOW_DATASETS = r"dataset_info\.json|features\.json|.+\.labels\.txt"  # names of files that it writes


def write_metadata(info: DatasetInfo, written: Mapping[str, Sequence[WrittenShard]], folder: Place) -> ConvertedInfo:
    """Writes `dataset_info.json`, `features.json`, the indexes of the splits and at last `segmentation.json` into the
    folder of the shards.

    Args:
        info: the `DatasetInfo` that was converted.
        written: the shards of each split, in the order of the files.
        folder: where the shards are.

    Returns:
        The `ConvertedInfo`.
    """
    counts = {split: np.sum([shard.label_counts for shard in shards], axis=0) for split, shards in written.items()}
    num_bytes = {split: sum(shard.num_bytes for shard in shards) for split, shards in written.items()}
    converted = ConvertedInfo(
        **{
            **{field.name: getattr(info, field.name) for field in dataclasses.fields(info)},
            "bands": _measured(info.bands, written),
        },
        num_examples={split: sum(shard.num_examples for shard in shards) for split, shards in written.items()},
        pixel_counts={split: tuple(values[: info.num_classes].tolist()) for split, values in counts.items()},
        ignored_pixels={split: int(values[IGNORE_LABEL]) for split, values in counts.items()},
        num_shards={split: len(shards) for split, shards in written.items()},
        num_bytes=num_bytes,
    )
    for split, shards in written.items():
        names = [shard_name(info.name, split, index, len(shards)) for index in range(len(shards))]
        lengths = {name: shard.lengths for name, shard in zip(names, shards, strict=True)}
        write_index(index_path(folder, info.name, split), lengths)
    if is_remote(folder):  # tensorflow-datasets does not open all that is opened here
        with tempfile.TemporaryDirectory(prefix="metadata_") as here:
            stand_ins = [
                pathlib.Path(here, shard_name(info.name, split, index, len(shards)))
                for split, shards in written.items()
                for index in range(len(shards))
            ]
            for path in stand_ins:  # of the shards, whose names it looks for
                path.touch()
            _write_for_tfds(info, written, num_bytes, pathlib.Path(here))
            for path in stand_ins:
                path.unlink()
            upload_folder(pathlib.Path(here), folder)
    else:
        _write_for_tfds(info, written, num_bytes, folder)
    save_info(converted, folder)
    return converted


def _write_for_tfds(info, written, num_bytes, folder):
    """Writes tensorflow-datasets' own description."""
    template = tfds.core.ShardedFileTemplate(data_dir=folder, dataset_name=info.name, filetype_suffix="tfrecord")
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=_features(info),
        split_infos=[
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.num_examples for shard in shards],
                num_bytes=num_bytes[split],
                filename_template=template.replace(split=split),
            )
            for split, shards in written.items()
        ],
        description=info.description,
        homepage=info.source,
        supervised_keys=(encoding.IMAGE, encoding.LABELS),
        check_data=False,
    )


def _measured(bands, written):
    """Other bands than RGB with mean and deviation over the pictures of split train, or of all where there is none."""
    if bands.is_rgb:
        return bands
    parts = [written[TRAIN]] if TRAIN in written else written.values()
    return measured(bands, [shard.band_sums for shards in parts for shard in shards])


def _image(bands):
    """The picture as it is stored: other bands than RGB as one gray picture, one below another."""
    if bands.is_rgb:
        return tfds.features.Image(shape=(None, None, 3))
    return tfds.features.Image(shape=(None, None, 1), dtype=np.dtype(f"uint{bands.depth}"), encoding_format="png")


def _features(info):
    return tfds.features.FeaturesDict(
        {
            encoding.IMAGE: _image(info.bands),
            encoding.IMAGE_FORMAT: tfds.features.Text(),
            encoding.HEIGHT: tfds.features.Scalar(tf.int64),
            encoding.WIDTH: tfds.features.Scalar(tf.int64),
            encoding.FILENAME: tfds.features.Text(),
            encoding.LABELS: tfds.features.LabeledImage(labels=list(info.class_names), shape=(None, None, 1)),
            encoding.LABELS_FORMAT: tfds.features.Text(),
        }
    )
