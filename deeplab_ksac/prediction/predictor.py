"""A trained model as a function from an image to its classes, however large the image is."""

import functools

import numpy as np
import tensorflow as tf

from deeplab_ksac.prediction import views as inference
from deeplab_ksac.prediction.tiles import tiles
from deeplab_ksac.runs.checkpoints import load_model

OUTPUTS = ("classes", "confidence", "probabilities")
MAX_PIXELS = 4 * 2**20
TILE_SIDE = 1025
TILE_MARGIN = 128


class Predictor:
    """A model and its way of inference, compiled once for images of every size.

    Example:
        predictor = Predictor.load("runs/scenes")           # or Predictor(model, scales=(0.75, 1.0), flip=True)
        classes = predictor(image)                          # uint8 [H, W], from RGB [H, W, 3], 0 … 255
        probabilities = predictor.probabilities(image)      # float32 [H, W, K]

    Batches [N, H, W, 3] give [N, …]. A batch of more than `max_pixels` pixels is seen image by image, an image of more
    in tiles that overlap, of which the middle is kept: memory does not grow with the image, but the context
    of a pixel then ends with its tile.

    Args:
        model: image [N, H, W, 3] -> {"logits", …}.
        max_pixels: of what the model sees at once.
        info: names and colors of the classes, for whoever shows them.
        **views: scales, flip, window, pad_to and average, as `inference.predict_probabilities`.

    Raises:
        ValueError: for views that `inference` refuses.
    """

    def __init__(self, model, *, max_pixels=MAX_PIXELS, info=None, **views):
        self.info, self.max_pixels = info, max_pixels
        inference.check_average(views.setdefault("average", "logits"))
        inference.check_views(views.get("scales", (1.0,)), views.get("window"), views.get("pad_to"))
        if max_pixels < 1:
            raise ValueError(f"max_pixels must be positive, not {max_pixels}")
        self._views, self._forward, self._functions = views, inference.logits_function(model), {}

    @classmethod
    def load(cls, workdir, *, step=None, max_pixels=MAX_PIXELS, **views):
        """The predictor of a training run, of its latest checkpoint, with the evaluation's views unless given.

        Raises:
            FileNotFoundError: no run or no such checkpoint in the folder.
            ValueError: the checkpoint is of another model, or views that `inference` refuses.
        """
        loaded = load_model(workdir, step=step)
        spec = loaded.experiment.evaluation
        own = {name: getattr(spec, name) for name in ("scales", "flip", "window", "pad_to")}
        return cls(loaded.model, max_pixels=max_pixels, info=loaded.info, **{**own, **views})

    def __call__(self, image):
        """RGB 0 … 255 of any number type, [H, W, 3] or [N, H, W, 3] -> the likeliest classes, uint8 array."""
        return self.predict(image)["classes"]

    def probabilities(self, image):
        """Like a call, but -> class probabilities, float32 array [H, W, K] or [N, H, W, K]."""
        return self.predict(image, ("probabilities",))["probabilities"]

    def predict(self, image, outputs=("classes",)):
        """Several outputs from one forward pass: -> {name: array}.

        Args:
            image: as in a call.
            outputs: of `OUTPUTS`: "classes" uint8 [H, W], "confidence" float32 [H, W], the probability of the
                likeliest class, "probabilities" float32 [H, W, K].
        """
        image, outputs = np.asarray(image), tuple(outputs)
        if image.ndim == 3:
            return {name: values[0] for name, values in self.predict(image[np.newaxis], outputs).items()}
        count, height, width = image.shape[:3]
        if count * height * width <= self.max_pixels:
            return self._predict(image, outputs)
        if count > 1:
            each = [self.predict(one, outputs) for one in image]
            return {name: np.stack([values[name] for values in each]) for name in outputs}
        whole = {}
        for rows, columns, values in self.tiled(image[0], outputs):
            for name, tile in values.items():
                if name not in whole:
                    whole[name] = np.empty([1, height, width, *tile.shape[2:]], tile.dtype)
                whole[name][0, rows, columns] = tile
        return whole

    def tiled(self, image, outputs=("classes",)):
        """Yields (rows, columns, {name: array [h, w, …]}) tile by tile, row by row; the slices cover [H, W] once.

        Args:
            image: RGB 0 … 255, [H, W, 3].
            outputs: as in `predict`.
        """
        side = min(TILE_SIDE, max(int(self.max_pixels**0.5), 1))
        for rows, columns in tiles(*image.shape[:2], side=side, margin=min(TILE_MARGIN, side // 4)):
            seen = self._predict(image[np.newaxis, rows.seen, columns.seen], tuple(outputs))
            yield rows.kept, columns.kept, {name: tile[0, rows.inside, columns.inside] for name, tile in seen.items()}

    def _predict(self, image, outputs):
        if outputs not in self._functions:
            compute = functools.partial(_outputs, self._forward, names=outputs, **self._views)
            self._functions[outputs] = tf.function(compute, [inference.IMAGE_SPEC], autograph=False)
        values = self._functions[outputs](tf.cast(image, tf.float32))
        return {name: value.numpy() for name, value in values.items()}


def _outputs(forward, image, *, names, average, **views):
    """{name: tensor} of the outputs that are asked for."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise ValueError(f"outputs are of {', '.join(OUTPUTS)}, not {names}")
    scores = inference.predict_scores(forward, image, average=average, **views)
    values = {"classes": inference.most_likely(scores)}
    if set(names) != {"classes"}:
        values["probabilities"] = tf.nn.softmax(scores) if average == "logits" else scores
        values["confidence"] = tf.reduce_max(values["probabilities"], axis=-1)
    return {name: values[name] for name in names}
