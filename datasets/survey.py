"""What a converted data set holds, counted in one pass over its records: is it what it should be?"""

import collections
import dataclasses
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.access import damaged_file
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, load_info
from deeplab_ksac.datasets.records import read_records
from deeplab_ksac.errors import in_one_line

BATCH = 32
NEARLY_ALL = 0.999  # share of its labeled pixels from which one value makes a mask of one value


@dataclasses.dataclass
class SplitSurvey:
    """What was counted in one split; per example only a name and two hashes of 64 bits are kept.

    Attributes:
        split: its name.
        official: its official number of images, None where there is none.
        names: the ids of the examples, in stored order.
        image_hashes: uint64 [n], of the bytes of the images.
        label_hashes: uint64 [n], of the bytes of the label maps.
        pixels: int64 [256], pixels by value of the labels.
        images: int64 [256], images in which the value occurs.
        sizes: images by (height, width).
        formats: images by format.
        single_valued: masks that hold practically one value (99.9 % of the labeled pixels), by this value.
        unlabeled: images without a labeled pixel.
        of_other_sizes: names of the examples whose picture, mask and stated size are not the same.
        samples: serialized examples from all over the split, for a contact sheet.
    """

    split: str
    official: int | None = None
    names: list = dataclasses.field(default_factory=list)
    image_hashes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))
    label_hashes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))
    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    images: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    formats: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    single_valued: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    unlabeled: int = 0
    of_other_sizes: list = dataclasses.field(default_factory=list)
    samples: list = dataclasses.field(default_factory=list)

    @property
    def frequencies(self) -> np.ndarray:
        """The share of each label 0…254 among the labeled pixels, float64 [255]; zeros where none is labeled."""
        labeled = self.pixels[:IGNORE_LABEL]
        return labeled / max(labeled.sum(), 1)

    @property
    def ignored_share(self) -> float:
        """The share of the pixels that are 255."""
        return self.pixels[IGNORE_LABEL] / max(self.pixels.sum(), 1)

    def size_range(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """((smallest, median, largest) height, the same of the width)."""
        sides = zip(*self.sizes.elements(), strict=True)
        return tuple((min(side), int(statistics.median_low(side)), max(side)) for side in sides)


@dataclasses.dataclass(frozen=True)
class Overlap:
    """What two splits share: names of the first split's examples.

    Attributes:
        splits: the two names.
        same_image: examples whose image is in the other split byte for byte.
        same_id: examples whose id is in the other split.
        same_labels: those of `same_id` whose labels are the same as well, so that it is the same picture.
    """

    splits: tuple[str, str]
    same_image: tuple[str, ...]
    same_id: tuple[str, ...]
    same_labels: tuple[str, ...]


def survey_split(
    name: str,
    split: str,
    *,
    data_dir: str | os.PathLike,
    official: int | None = None,
    samples: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> SplitSurvey:
    """Counts a split of a converted data set, in one pass and in bounded memory.

    Args:
        name: the converted data set.
        split: of it.
        data_dir: where converted data sets live.
        official: the official number of images.
        samples: examples to keep, evenly spread.
        progress: called as `progress(split, done, total)`.

    Raises:
        DatasetError: no such split, or records that cannot be read.
    """
    records, count = read_records(name, split, data_dir)
    samples, bands = min(samples, max(count, 0)), load_info(name, data_dir).bands

    @tf.autograph.experimental.do_not_convert
    def measure(position, serialized):
        chosen = (position + 1) * samples // max(count, 1) > position * samples // max(count, 1)
        return {**_measure(serialized, bands), "sample": tf.where(chosen, serialized, "")}

    measured = records.enumerate().map(measure, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    survey = SplitSurvey(split, official)
    image_hashes, label_hashes = [], []
    try:
        for batch in measured.batch(BATCH).prefetch(2).as_numpy_iterator():
            image_hashes.append(batch["image_hash"])
            label_hashes.append(batch["label_hash"])
            add_batch(survey, batch)
            if progress is not None:
                progress(split, len(survey.names), count)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        place = damaged_file([f"{name}/{split}"], data_dir, error)
        raise DatasetError(
            f"split {split} of {name} cannot be read after {len(survey.names)} of {count} examples "
            f"({place}{in_one_line(error)}); convert it again"
        ) from error
    if len(survey.names) != count:
        raise DatasetError(
            f"{name}/{split} has {len(survey.names)} records in its files and {count} in its metadata; convert it again"
        )
    survey.image_hashes, survey.label_hashes = np.concatenate(image_hashes), np.concatenate(label_hashes)
    return survey


def find_overlaps(surveys: Sequence[SplitSurvey]) -> list[Overlap]:
    """An `Overlap` for each two splits that share an image or an id."""
    found = []
    for number, a in enumerate(surveys):
        for b in surveys[number + 1 :]:
            labels = dict(zip(b.names, b.label_hashes, strict=True))
            same_id = [i for i, name in enumerate(a.names) if name in labels]
            same_image = np.flatnonzero(np.isin(a.image_hashes, b.image_hashes))
            same_labels = [i for i in same_id if a.label_hashes[i] == labels[a.names[i]]]
            if same_id or len(same_image):
                names = [tuple(a.names[i] for i in some) for some in (same_image, same_id, same_labels)]
                found.append(Overlap((a.split, b.split), *names))
    return found


def find_repeated(survey: SplitSurvey) -> tuple[str, ...]:
    """Names of the examples whose image stood in the split before, byte for byte."""
    _, first = np.unique(survey.image_hashes, return_index=True)
    again = np.setdiff1d(np.arange(len(survey.names)), first)
    return tuple(survey.names[i] for i in again)


def _measure(serialized, bands):
    """What is looked at of one example."""
    parsed = encoding.parse_example(serialized)
    labels = encoding.decode_labels(parsed)
    return {
        "name": parsed["filename"],
        "format": parsed["format"],
        "size": tf.stack([parsed["height"], parsed["width"]]),
        "one_size": encoding.is_of_one_size(parsed, labels, bands),
        "image_hash": _hash(parsed["encoded"]),
        "label_hash": _hash(parsed["labels_encoded"]),
        "pixels": tf.math.bincount(tf.cast(labels, tf.int32), minlength=256, maxlength=256, dtype=tf.int64),
    }


def _hash(content):
    """64 bits of a string: two of a million different ones agree with a chance of 3e-8."""
    return tf.bitcast(tf.fingerprint(content[tf.newaxis])[0], tf.uint64)


def add_batch(survey: SplitSurvey, batch: Mapping[str, Any]) -> None:
    """Adds a batch of measured examples, what `_measure` gives and "sample", to the survey of their split."""
    survey.names += [name.decode() for name in batch["name"]]
    survey.formats.update(form.decode() for form in batch["format"])
    survey.sizes.update((int(height), int(width)) for height, width in batch["size"])
    survey.pixels += batch["pixels"].sum(axis=0)
    survey.images += (batch["pixels"] > 0).sum(axis=0)
    sizes = zip(batch["name"], batch["one_size"], strict=True)
    survey.of_other_sizes += [name.decode() for name, one_size in sizes if not one_size]
    survey.samples += [sample for sample in batch["sample"] if sample]
    for counts in batch["pixels"][:, :IGNORE_LABEL]:
        labeled, value = counts.sum(), int(counts.argmax())
        if not labeled:
            survey.unlabeled += 1
        elif counts[value] >= NEARLY_ALL * labeled:
            survey.single_valued[value] += 1
