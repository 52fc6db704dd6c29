"""What 8 bits cost: pictures by which the ranges of an exported file are measured, and its mIoU beside the model's."""

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac import metrics
from deeplab_ksac.datasets.access import damage_named
from deeplab_ksac.datasets.info import load_info, require_bands
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.evaluation import Evaluator
from deeplab_ksac.experiment import Views
from deeplab_ksac.export import fresh
from deeplab_ksac.export.rounding import resized
from deeplab_ksac.export.server import image_dtype
from deeplab_ksac.layers import resize_labels
from deeplab_ksac.runs.checkpoints import LoadedModel
from deeplab_ksac.runs.evaluation import check_classes


class SplitPictures:
    """Pictures of a split as they are stored, spread evenly over it: iterates over uint8 or uint16 [H, W, C].

    Args:
        loaded: the model that they are for.
        split: of a converted data set.
        data_dir: folder of the converted data sets.
        count: how many; all where there are no more, and for 0.

    Raises:
        ValueError: the data set or split is missing, or has other classes or bands than the model's.
    """

    def __init__(self, loaded: LoadedModel, split: Split, *, data_dir: str | os.PathLike, count: int):
        converted = load_info(split.dataset, data_dir)
        check_classes(loaded.info, converted)
        require_bands(split.dataset, converted.bands, loaded.info.bands, f"the model, trained on {loaded.info.name},")
        if split.name not in converted.num_examples:
            known = ", ".join(sorted(converted.num_examples))
            raise ValueError(f"{split.dataset} has no split {split.name!r} in {data_dir} (splits: {known})")
        self.split, self.data_dir, self.bands = split, data_dir, converted.bands
        self.total = converted.num_examples[split.name]
        self.count = min(count, self.total) or self.total

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in self.batches():
            yield as_stored(batch["image"].numpy()[0], self.bands)

    def batches(self) -> Iterator[dict]:
        """Them with their labels, one at a time, as `eval_batches`; damaged records are errors that name the file."""
        with damage_named([str(self.split)], self.data_dir):
            yield from eval_batches(self.split.dataset, self.split.name, data_dir=self.data_dir, images=self.count)


def as_stored(image, bands):
    """What `eval_batches` gives, float32 0…255, as it is stored and as exported models take it."""
    return np.rint(image * bands.unit).astype(image_dtype(bands).as_numpy_dtype)


@dataclasses.dataclass(frozen=True)
class Cost:
    """The mIoU of a file and of the model it was written from, on the same pictures."""

    pictures: SplitPictures
    model: float
    file: float

    def describe(self, rounding: str) -> str:
        """One line."""
        of = self.pictures
        return (
            f"mIoU in % on {of.count} of the {of.total} pictures of {of.split}: {100 * self.model:.2f} float32, "
            f"{100 * self.file:.2f} {rounding} ({100 * (self.file - self.model):+.2f})"
        )


def cost_of(
    path: str | os.PathLike,
    form: str,
    loaded: LoadedModel,
    pictures: SplitPictures,
    views: Views = Views(),
    size: tuple[int, int] | None = None,
) -> Cost:
    """The `Cost` of an exported file.

    Args:
        path: what was exported.
        form: of `fresh.RUNNERS`, by what it is run.
        loaded: the model it was written from.
        pictures: with their labels.
        views: that are inside of the file.
        size: None, or (height, width) of the images that the file takes; pictures and labels are resized to it for
            both.
    """
    num_classes = loaded.info.num_classes
    batches = functools.partial(_resized, pictures, size)
    expected = Evaluator(loaded.model, num_classes=num_classes, views=views)(batches())["miou"]
    dtype = image_dtype(pictures.bands, lite=form == "tflite").as_numpy_dtype
    found = metrics.mean_iou(confusion_of_file(path, fresh.RUNNERS[form], batches(), num_classes, dtype))
    return Cost(pictures, float(expected), float(found))


def _resized(pictures, size):
    """{"image": float32 [1, H, W, C] of whole stored values / unit, "labels"} of each picture."""
    for batch in pictures.batches():
        image, labels = as_stored(batch["image"].numpy()[0], pictures.bands), batch["labels"].numpy()
        if size is not None:
            image = resized(image, size)
            labels = resize_labels(tf.constant(labels), size).numpy()
        yield {"image": np.float32(image[np.newaxis]) / pictures.bands.unit, "labels": labels, "stored": image}


def confusion_of_file(
    path: str | os.PathLike, run: Callable, batches: Iterable[Mapping], num_classes: int, dtype: type
) -> np.ndarray:
    """The confusion matrix [K, K] of a file's classes, rows the truth.

    Args:
        path: of the file.
        run: of `fresh.RUNNERS`.
        batches: {"stored" [H, W, C], "labels" [1, H, W]} each.
        num_classes: K.
        dtype: of the images that the file takes.
    """
    labels = collections.deque()

    def images():
        for batch in batches:
            labels.append(batch["labels"])
            yield batch["stored"][np.newaxis].astype(dtype)

    counts = np.zeros((num_classes, num_classes), np.int64)
    for outputs in run(str(path), images()):
        counts += metrics.confusion_matrix(labels.popleft(), outputs["classes"], num_classes).numpy()
    return counts
