"""A data set of tensorflow-datasets that is prepared on disk, with a picture and a label map in each example.

`tfds:<name>` is the folder <raw_dir>/<name>, such as ~/tensorflow_datasets/oxford_iiit_pet; the version and the
configuration follow where there are several (`tfds:oxford_iiit_pet/3.2.0`). Its files are read as they are, by number,
without the code that prepared them: TFRecords with features that are an `Image` of three channels and a `LabeledImage`
or an `Image` of one, as PNG. `image_key` and `label_key` name them where there are several.

Classes are the names in the label map's feature, or those of classes.txt in the folder; `label_map` maps its values.
Pictures have no outlines, so that nothing overlaps.
"""

import dataclasses
import os
import pathlib
import struct

import tensorflow as tf
import tensorflow_datasets

from deeplab_ksac.datasets.class_list import CLASSES_FILE
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_columns import choose
from deeplab_ksac.datasets.mask_classes import count_values, mask_reader, read_classes
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import Examples
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.datasets.stored import record_offsets
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(name="tfds", class_names=(), colors=(), description="A data set of tensorflow-datasets")
READS = ("label_map", "image_key", "label_key")

LAYOUT = "a data set that tensorflow-datasets has prepared: features.json, dataset_info.json and TFRecord files"
LENGTH = struct.Struct("<Q")  # of a TFRecord's data; 4 bytes of checksum follow


@dataclasses.dataclass(frozen=True)
class Feature:
    """The bytes of a feature of one example; its text names the place.

    Attributes:
        file: a TFRecord file.
        offset: where the example begins in it.
        key: the feature.
        number: of the example in its split.
    """

    file: str
    offset: int
    key: str
    number: int

    def __str__(self) -> str:
        return f"{self.key!r} of example {self.number} in {self.file}"

    @property
    def files(self) -> tuple[str, ...]:
        """The file."""
        return (self.file,)

    def read_bytes(self) -> bytes:
        """The encoded picture.

        Raises:
            DatasetError: there is none.
        """
        with open(self.file, "rb") as stream:
            stream.seek(self.offset)
            (length,) = LENGTH.unpack(stream.read(LENGTH.size))
            stream.seek(4, os.SEEK_CUR)
            example = tf.train.Example.FromString(stream.read(length))
        values = example.features.feature[self.key].bytes_list.value
        if len(values) != 1:
            raise DatasetError(f"{self} is not one picture but {len(values)}")
        return values[0]


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the names of the label map's classes."""
    builder = _builder(root)
    names, colors = _classes(root, builder, reading)
    return dataclasses.replace(INFO, class_names=names, colors=colors)


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The splits that are prepared; train comes first."""
    return tuple(sorted(_builder(root).info.splits, key=lambda split: (split != "train", split)))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The examples of a split, in the order of its files; ids are their numbers."""
    builder = _builder(root)
    if split not in builder.info.splits:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(builder.info.splits)})")
    image, label = _keys(root, builder, reading)
    files = [os.fspath(path) for path in builder.info.splits[split].filepaths]
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise DatasetError(f"{len(missing)} of {len(files)} files of {split} are missing, the first {missing[0]}")
    places = [(file, int(offset)) for file in files for offset in record_offsets(file)]
    entries = [
        (f"{number:06d}", *(Feature(file, offset, key, number) for key in (image, label)))
        for number, (file, offset) in enumerate(places)
    ]
    return Examples(entries, read_labels=mask_reader(_class_file(root, builder), reading))


def values_of(mask: Feature) -> dict[int | tuple[int, ...], int]:
    """{value in a label map: its pixels}."""
    return count_values(mask)


def _builder(root):
    """The builder of the only data set at or below a folder."""
    found = sorted(path.parent for path in pathlib.Path(root).rglob("features.json"))
    if len(found) != 1:
        known = f" ({', '.join(str(path.relative_to(root)) for path in found)})" if found else ""
        advice = "give the version and configuration, as in tfds:name/1.0.0" if found else f"expected {LAYOUT}"
        raise DatasetError(f"{root} has {len(found)} data sets{known}; {advice}")
    try:
        builder = tensorflow_datasets.builder_from_directory(os.fspath(found[0]))
    except Exception as error:  # tensorflow-datasets raises what comes
        raise DatasetError(f"{found[0]} cannot be read by tensorflow-datasets: {in_one_line(error)}") from error
    form = builder.info.file_format
    if form is None or form.value != "tfrecord":
        raise DatasetError(f"{found[0]} holds files of the format {form and form.value}; tfrecord is read")
    return builder


def _keys(root, builder, reading):
    """(feature of the pictures, feature of the label maps)."""
    features = builder.info.features
    kind = tensorflow_datasets.features.Image
    pictures = {key: feature.shape[-1] for key, feature in features.items() if isinstance(feature, kind)}
    images = [key for key, channels in pictures.items() if channels != 1]
    labels = [key for key, channels in pictures.items() if channels == 1]
    return choose(images, reading.image_key, "image", root), choose(labels, reading.label_key, "label", root)


def _class_file(root, builder):
    """classes.txt in the folder that was named, or beside the files."""
    places = (pathlib.Path(root) / CLASSES_FILE, pathlib.Path(os.fspath(builder.data_dir)) / CLASSES_FILE)
    return next((path for path in places if path.is_file()), places[0])


def _classes(root, builder, reading):
    """(names, colors) of the classes."""
    path = _class_file(root, builder)
    names = getattr(builder.info.features[_keys(root, builder, reading)[1]], "names", None)
    if path.is_file() or reading.label_map is not None:
        return read_classes(path, reading)
    if not names:
        raise DatasetError(f"{root} has a label map without names of classes; write them to {path}, one a line")
    return tuple(names), voc_palette(len(names))
