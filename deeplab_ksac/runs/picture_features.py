"""What a frozen backbone makes of the pictures of a split, whole and at several scales: computed once, and kept."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.cached_features import source_sizes
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.json_files import read_object
from deeplab_ksac.layers import resize_bilinear
from deeplab_ksac.prediction.scores import side_at_scale
from deeplab_ksac.storage import local
from deeplab_ksac.training.backbone_part import backbone_of
from deeplab_ksac.training.cached_backbone import levels_read, weights_checksum
from deeplab_ksac.whole_files import read_whole, write_whole

FACTS_FILE = "pictures.json"

Levels = Mapping[str, np.ndarray]  # {level: float16 [1, h, w, C]}


class PictureFeatures:
    """The features of pictures, one file for each picture and scale in a folder.

    Args:
        folder: of the files; is made.
        model: whose backbone it is.
        data_dir: where converted data sets are.
        progress: (total, label) -> an object with `update(n)` and `close()`; None shows nothing.

    Attributes:
        levels: of the pyramid, that the model reads, and their channels.

    Raises:
        ValueError: the folder holds features of another backbone.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        model: keras.Model,
        data_dir: str | os.PathLike,
        progress: Callable[..., Any] | None = None,
    ):
        self.folder = local(folder, "the folder of pictures' features")
        self.data_dir, self.progress = data_dir, progress
        self._backbone = backbone_of(model)
        self.levels = {level: self._backbone.output[level].shape[-1] for level in levels_read(model)}
        self._compute = tf.function(
            self._features, [tf.TensorSpec([1, None, None, None]), tf.TensorSpec([2], tf.int32)]
        )
        self._check({"weights": weights_checksum(model), "levels": list(self.levels)})

    def pictures(self, split: str, scales: Sequence[float]) -> Iterator[tuple[np.ndarray, dict[float, Levels]]]:
        """Yields (labels int32 [H, W], {scale: features}) of every picture of a split, in stored order.

        Args:
            split: "data set/split".
            scales: factors of the pictures' sides, as those of `experiment.Views`.

        Raises:
            ValueError: the split was converted anew since; a file cannot be read.
        """
        folder, which = self.folder / split.replace("/", "_"), Split.parse(split)
        sizes = source_sizes([split], self.data_dir)
        self._check(sizes, folder)
        total = sizes[split][0]
        shown = self.progress and self.progress(total, f"pictures of {split}")
        for number, batch in enumerate(eval_batches(which.dataset, which.name, data_dir=self.data_dir)):
            views = {scale: self._at(folder, number, batch["image"], scale) for scale in scales}
            yield batch["labels"][0].numpy(), views
            if shown:
                shown.update(1)
        if shown:
            shown.close()

    def _check(self, facts, folder=None):
        """Writes facts into a folder, or raises ValueError where it has others."""
        path = (folder or self.folder) / FACTS_FILE
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(facts) + "\n")
        elif read_object(path) != facts:
            raise ValueError(f"{path.parent} holds features of other pictures or weights; remove it")

    def _at(self, folder, number, image, scale):
        path = folder / f"{scale:g}" / f"{number:06d}.npz"
        if path.exists():
            return _read(path)
        size = [side_at_scale(side, scale) for side in image.shape[1:3]]
        features = {level: maps.numpy() for level, maps in self._compute(image, size).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        np.savez(stream, **features)
        write_whole(path, stream.getvalue())
        return features

    def _features(self, image, size):
        pyramid = self._backbone(resize_bilinear(image, size), training=False)
        return {level: tf.cast(pyramid[level], tf.float16) for level in self.levels}


def _read(path):
    try:
        with np.load(io.BytesIO(read_whole(path))) as file:
            return dict(file)
    except (ValueError, KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({in_one_line(error)}); remove it, and it is made again") from error
