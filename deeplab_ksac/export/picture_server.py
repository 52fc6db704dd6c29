"""What a SavedModel serves to those who have picture files: label maps as picture files again."""

import functools
import json

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.decoding import MAX_PIXELS, decode_or_explain
from deeplab_ksac.export.index_png import encode_index
from deeplab_ksac.export.server import ENCODED, SegmentationServer
from deeplab_ksac.export.target import class_list

REQUEST = tf.TensorSpec([None], tf.string, name="request")


class PictureServer(SegmentationServer):
    """A `SegmentationServer` that also takes JPEG and PNG files of any sizes, and knows its classes.

    The pictures of a request are segmented one after the other, each at its own size. One that cannot be decoded has
    an empty string for its result and says why; the others are as they would be without it.

    Args:
        model: image [N, H, W, 3] float32 -> {"logits", …}.
        info: of the data set that the model was trained on.
        views: how the model sees the images.
        max_pixels: a picture with more is not decoded.

    Raises:
        ValueError: for more than 256 classes.
    """

    def __init__(self, model: keras.Model, info: DatasetInfo, views: Views = Views(), *, max_pixels: int = MAX_PIXELS):
        super().__init__(model, views)
        self._encode = functools.partial(encode_index, colors=info.colors)
        self._decode = functools.partial(decode_or_explain, max_pixels=max_pixels)
        self._class_list = json.dumps(class_list(info), ensure_ascii=False)

    @tf.function(input_signature=[ENCODED], autograph=False)
    def png(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture files [N], turned upright by EXIF -> {"png_bytes": index PNGs [N], "error": texts [N], mostly ""}."""
        return self._each(image_bytes, tf.constant(True))

    @tf.function(input_signature=[ENCODED], autograph=False)
    def png_as_stored(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `png`, of the pictures as they are stored: pixel on pixel with the files, whatever EXIF says."""
        return self._each(image_bytes, tf.constant(False))

    @tf.function(input_signature=[REQUEST], autograph=False)
    def class_list(self, request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Any texts [N] -> {"class_list": [N] times the JSON of `classes.json`}: names and colors of the classes."""
        return {"class_list": tf.fill(tf.shape(request), self._class_list)}

    @tf.function(input_signature=[ENCODED, tf.TensorSpec([], tf.bool)], autograph=False)
    def _each(self, contents, upright):
        """The result of each file."""

        def one(content):
            image, error = self._decode(content, upright=upright)
            png = tf.cond(tf.size(image) > 0, lambda: self._encode(self._one(image)), lambda: tf.constant(b""))
            return png, error

        strings = (tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.string))
        contents = tf.ensure_shape(contents, ENCODED.shape)
        png, error = tf.map_fn(one, contents, fn_output_signature=strings, parallel_iterations=1)
        return {"png_bytes": png, "error": error}

    def _one(self, image):
        """The classes [H, W] of one picture [H, W, 3]."""
        return self.classes(image[tf.newaxis])["classes"][0]
