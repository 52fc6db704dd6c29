"""A trained model as a function from an image to its classes, however large the image is."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.models.folder import save_model
from deeplab_ksac.models.loading import load
from deeplab_ksac.prediction import scores
from deeplab_ksac.prediction.tiles import MAX_PIXELS, TILE_MARGIN, TILE_SIDE, tiles
from deeplab_ksac.runs.checkpoints import LoadedModel
from deeplab_ksac.runs.places import NEWEST, Checkpoint
from deeplab_ksac.storage import Place

OUTPUTS = ("classes", "confidence", "probabilities")
MOST_CLASSES = 256  # that uint8 tells apart


class Predictor:
    """A model and its views, compiled once for images of every size.

    Example:
        predictor = Predictor.load("runs/scenes")           # or Predictor(model, Views(scales=(0.75, 1.0), flip=True))
        predictor.save("scenes_model", dtype="float16")     # which Predictor.load("scenes_model") gives back
        classes = predictor(image)                          # uint8 [H, W], from RGB [H, W, 3], 0 … 255
        probabilities = predictor.probabilities(image)      # float32 [H, W, K]

    Of a model of other bands than RGB the images are [H, W, C], integers as they are stored, of 8 or 16 bits, or
    floating-point numbers as the network sees them, 0…255 (what is stored in 16 bits divided by 257).

    Batches [N, H, W, 3] give [N, …]. A batch of more than `max_pixels` pixels is seen image by image, an image of more
    in tiles that overlap, of which the middle is kept: the memory of the model does not grow with the image, but the
    context of a pixel then ends with its tile.

    Several threads may use one. It cannot be pickled: a process of its own loads its own.

    Args:
        model: image [N, H, W, C] -> {"logits", …}, of at most `MOST_CLASSES` classes.
        views: how the model sees the images.
        max_pixels: of the images that are seen at once, counted before a scale of the views makes them larger.
        info: names and colors of the classes, for showing results, and the bands of the images; None for RGB.
        trained: the model and what it was trained as, as `models.loading.load` gives it; what has none cannot be
            saved.

    Attributes:
        bands: of the images.

    Raises:
        ValueError: for a `max_pixels` below 1; a model of other bands than `info` has, or of too many classes.
    """

    def __init__(
        self,
        model: keras.Model,
        views: Views = Views(),
        *,
        max_pixels: int = MAX_PIXELS,
        info: DatasetInfo | None = None,
        trained: LoadedModel | None = None,
    ):
        if max_pixels < 1:
            raise ValueError(f"max_pixels must be positive, not {max_pixels}")
        self.views, self.max_pixels, self.info, self.trained = views, max_pixels, info, trained
        self.bands = RGB if info is None else info.bands
        self._spec = scores.image_spec(model)
        if self._spec.shape[-1] != self.bands.number:
            raise ValueError(
                f"the model takes images of {self._spec.shape[-1]} bands, and info is of {self.bands.describe()}"
            )
        num_classes = model.output["logits"].shape[-1]
        if num_classes is not None and num_classes > MOST_CLASSES:
            raise ValueError(
                f"the model has {num_classes} classes; a predictor's classes are bytes, {MOST_CLASSES} at most"
            )
        self._forward, self._functions = scores.logits_function(model), {}

    @classmethod
    def load(
        cls,
        source: str | os.PathLike,
        *,
        views: Views | None = None,
        checkpoint: Checkpoint = NEWEST,
        max_pixels: int = MAX_PIXELS,
        allow_code: bool = False,
        precision: str = "float32",
    ) -> "Predictor":
        """The predictor of a trained model.

        Args:
            source: a run's folder; a saved model's; the name of one that comes with this package; or, on Hugging Face's
                hub, "hf://user/name" or "hf://user/name@revision".
            views: how the model sees the images; by default as in the run's evaluation, or as it was saved.
            checkpoint: of a run: "newest", "best", or the step of one, as `runs.checkpoints.checkpoint_path`.
            max_pixels: as in the constructor.
            allow_code: whether code of its own may be run, where a saved model has some. A run's is run in any case:
                what its experiment.json names.
            precision: in which the model computes, of `experiment.PRECISIONS`; what `save` writes is as it was loaded.

        Raises:
            OSError: there is no such model, run or checkpoint, or one of its files is missing.
            ValueError: a file is damaged, or of another model; code of its own that is not allowed; another precision.
        """
        loaded = load(source, checkpoint=checkpoint, allow_code=allow_code)
        views = loaded.experiment.evaluation.views if views is None else views
        return cls(loaded.network(precision), views, max_pixels=max_pixels, info=loaded.info, trained=loaded)

    def save(
        self, folder: str | os.PathLike, *, dtype: str = "float32", card: str | None = None, overwrite: bool = False
    ) -> Place:
        """Writes the model and its views as a folder (JSON and safetensors) that `load` reads, whole or not at all.

        Args:
            folder: is made.
            dtype: of the weights in the file: "float32", or "float16" for half the size.
            card: what people are told of the model, as Markdown; by default what it was loaded with, if anything.
            overwrite: whether a saved model in the folder is replaced.

        Returns:
            The folder.

        Raises:
            OSError: the folder exists (`FileExistsError`), or it cannot be written.
            ValueError: this is no predictor that `load` gave; another dtype; a weight that the file cannot hold.
        """
        if self.trained is None:
            raise ValueError(
                "a Predictor of a bare Keras model cannot be saved, for nothing tells how to build it again; "
                "save one of Predictor.load"
            )
        experiment = self.trained.experiment
        evaluation = dataclasses.replace(experiment.evaluation, views=self.views)
        saved = dataclasses.replace(
            self.trained,
            experiment=dataclasses.replace(experiment, evaluation=evaluation),
            card=self.trained.card if card is None else card,
        )
        return save_model(saved, folder, dtype=dtype, overwrite=overwrite)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """RGB 0 … 255 of any number type, [H, W, 3] or [N, H, W, 3] -> the most likely classes, uint8 array."""
        return self.predict(image)["classes"]

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Like a call, but -> class probabilities, float32 array [H, W, K] or [N, H, W, K]."""
        return self.predict(image, ("probabilities",))["probabilities"]

    def predict(self, image: np.ndarray, outputs: Sequence[str] = ("classes",)) -> dict[str, np.ndarray]:
        """Several outputs from one forward pass: -> {name: array}.

        Args:
            image: as in a call.
            outputs: of `OUTPUTS`: "classes" uint8 [H, W], "confidence" float32 [H, W], the probability of the
                likeliest class, "probabilities" float32 [H, W, K].

        Raises:
            ValueError: the image is of another shape or range; an output that there is not.
        """
        image, outputs = checked_image(image, self.bands), tuple(outputs)
        if image.ndim == 3:
            return {name: values[0] for name, values in self._predict_batch(image[np.newaxis], outputs).items()}
        return self._predict_batch(image, outputs)

    def _predict_batch(self, image, outputs):
        """[N, H, W, 3] -> {name: array [N, H, W, …]}, of as many pixels at once as are allowed."""
        count, height, width = image.shape[:3]
        if count * height * width <= self.max_pixels:
            return self._predict(image, outputs)
        if count > 1:
            each = [self._predict_batch(one[np.newaxis], outputs) for one in image]
            return {name: np.concatenate([values[name] for values in each]) for name in outputs}
        whole = {}
        for rows, columns, values in self.tiled(image[0], outputs):
            for name, tile in values.items():
                if name not in whole:
                    whole[name] = np.empty([1, height, width, *tile.shape[2:]], tile.dtype)
                whole[name][0, rows, columns] = tile
        return whole

    def tiled(
        self, image: np.ndarray, outputs: Sequence[str] = ("classes",)
    ) -> Iterator[tuple[slice, slice, dict[str, np.ndarray]]]:
        """Yields (rows, columns, {name: array [h, w, …]}) tile by tile, row by row; the slices cover [H, W] once.

        Args:
            image: RGB 0 … 255, [H, W, 3].
            outputs: as in `predict`.

        Raises:
            ValueError: as `predict`.
        """
        image = checked_image(image, self.bands)
        side = min(TILE_SIDE, max(int(self.max_pixels**0.5), 1))
        for rows, columns in tiles(*image.shape[:2], side=side, margin=min(TILE_MARGIN, side // 4)):
            seen = self._predict(image[np.newaxis, rows.seen, columns.seen], tuple(outputs))
            yield rows.kept, columns.kept, {name: tile[0, rows.inside, columns.inside] for name, tile in seen.items()}

    def _predict(self, image, outputs):
        if outputs not in self._functions:
            compute = functools.partial(_outputs, self._forward, views=self.views, names=outputs)
            self._functions[outputs] = tf.function(compute, [self._spec], autograph=False)
        values = self._functions[outputs](_as_seen(image, self.bands))
        return {name: value.numpy() for name, value in values.items()}


def checked_image(image: np.ndarray, bands: Bands = RGB) -> np.ndarray:
    """The image as an array, if it is RGB, [H, W, 3] or [N, H, W, 3], of 0 … 255, or has the bands.

    Raises:
        ValueError: another shape, no pixel, no numbers; values outside 0 … 255, or of integers of 16 bits 0 … 65535; or
            floats of which none is above 1, as of images that were divided by 255.
    """
    image = np.asarray(image)
    if not bands.is_rgb:
        return _checked_bands(image, bands)
    if image.ndim not in (3, 4) or image.shape[-1] != 3:
        hint = "; np.stack([gray] * 3, axis=-1) makes RGB of a gray image" if image.ndim == 2 else ""
        raise ValueError(f"an image is RGB, [H, W, 3] or [N, H, W, 3], not of shape {list(image.shape)}{hint}")
    if image.dtype.kind not in "uif" or not image.size:
        raise ValueError(f"an image is RGB numbers of 0 … 255, not {image.dtype} of shape {list(image.shape)}")
    if image.dtype == np.uint8:
        return image
    low, high = image.min(), image.max()
    if image.dtype.kind == "f" and high <= 1 and (image % 1).any():
        raise ValueError(
            f"an image is RGB of 0 … 255, but no value of this one is above {high:g}; multiply by 255 what was "
            "divided by it"
        )
    if not 0 <= low <= high <= 255:
        raise ValueError(
            f"an image is RGB of 0 … 255, but the values of this one lie in {low:g} … {high:g}; np.clip cuts them off"
        )
    return image


def _checked_bands(image, bands):
    """`checked_image` of other bands than RGB."""
    if image.ndim not in (3, 4) or image.shape[-1] != bands.number or image.dtype.kind not in "uif" or not image.size:
        raise ValueError(
            f"an image has {bands.describe()}, [H, W, {bands.number}] or [N, H, W, {bands.number}]; this one is "
            f"{image.dtype} of shape {list(image.shape)}"
        )
    stored = image.dtype.kind in "ui"
    largest = 255 * bands.unit if stored else 255
    if stored and bands.depth == 16 and image.dtype == np.uint8:
        raise ValueError("an image has values of 16 bits; this one is uint8")
    low, high = image.min(), image.max()
    if not stored and high <= 1 and (image % 1).any():
        raise ValueError(
            f"an image has floating-point numbers as the network sees them, 0 … 255, but no value of this one is above "
            f"{high:g}; give integers as they are stored, or their share of the largest integer times 255"
        )
    if not 0 <= low <= high <= largest:
        what = f"integers of {bands.depth} bits" if stored else "floating-point numbers as the network sees them"
        raise ValueError(f"an image has {what}, 0 … {largest}; the values of this one lie in {low:g} … {high:g}")
    return image


def _as_seen(image, bands):
    """The image as the network sees it: float32 of 0…255."""
    seen = tf.cast(image, tf.float32)
    return seen / bands.unit if bands.unit > 1 and image.dtype.kind in "ui" else seen


def _outputs(forward, image, *, views, names):
    """{name: tensor} of the outputs that are asked for."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise ValueError(f"outputs are of {', '.join(OUTPUTS)}, not {names}")
    averaged = scores.predict_scores(forward, image, views)
    values = {"classes": scores.most_likely(averaged)}
    if set(names) != {"classes"}:
        values["probabilities"] = scores.as_probabilities(averaged, views)
        values["confidence"] = tf.reduce_max(values["probabilities"], axis=-1)
    return {name: values[name] for name in names}
