"""What is served: a trained model as functions of images, without anything of Keras or of this project."""

import functools

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.decoding import decode_shown
from deeplab_ksac.prediction import scores

MAX_CLASSES = 256  # what fits the uint8 of "classes"
IMAGE = tf.TensorSpec([None, None, None, RGB.number], tf.uint8, name="image")
ENCODED = tf.TensorSpec([None], tf.string, name="image_bytes")


class SegmentationServer(tf.Module):
    """What is served: uint8 RGB [N, H, W, 3] of any N, H, W -> {"classes": uint8 [N, H, W], "probabilities":
    float32 [N, H, W, K]} at the image's size.

    Tracks the model's variables, not its layers: nothing of Keras or of this project is left in what is
    saved.

    Args:
        model: image [N, H, W, 3] float32 -> {"logits", …}.
        views: how the model sees the images.

    Attributes:
        image: the `tf.TensorSpec` of the images.

    Raises:
        ValueError: for more than 256 classes.
    """

    bands, image = RGB, IMAGE

    def __init__(self, model: keras.Model, views: Views = Views()):
        super().__init__(name="segmentation_server")
        forward = scores.logits_model(model)
        if forward.output_shape[-1] > MAX_CLASSES:
            raise ValueError(f"{forward.output_shape[-1]} classes do not fit uint8 (at most {MAX_CLASSES})")
        self.served_variables = list(forward.weights)
        # In a partial, into which tf.Module does not look: the layers stay out of the SavedModel.
        self._scores = functools.partial(scores.predict_scores, scores.logits_function(model), views=views)
        self._probabilities = functools.partial(scores.as_probabilities, views=views)

    @tf.function(input_signature=[IMAGE], autograph=False)
    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """image -> {"classes", "probabilities"}."""
        return self._answer(image)

    @tf.function(input_signature=[IMAGE], autograph=False)
    def classes(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """image -> {"classes"}: nothing is computed that only the probabilities need."""
        return self._choose(image)

    @tf.function(input_signature=[ENCODED], autograph=False)
    def classes_of_encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """JPEG or PNG files [N], all of one size when upright, as `decode_shown` reads them -> {"classes"}."""
        spec = tf.TensorSpec([None, None, 3], tf.uint8)
        contents = tf.ensure_shape(image_bytes, ENCODED.shape)
        return self.classes(tf.map_fn(decode_shown, contents, fn_output_signature=spec))

    def _answer(self, image):
        averaged = self._scores(self._checked(image))
        return {"classes": scores.most_likely(averaged), "probabilities": self._probabilities(averaged)}

    def _choose(self, image):
        return {"classes": scores.most_likely(self._scores(self._checked(image)))}

    def _checked(self, image):
        """The image as float32 of 0…255; a request of another rank is an error here, where what follows would abort."""
        seen = tf.cast(tf.ensure_shape(image, self.image.shape), tf.float32)
        return seen if self.bands.unit == 1 else seen / self.bands.unit


def image_dtype(bands: Bands, *, lite: bool = False) -> tf.DType:
    """The type of the images that are served: uint8 or uint16, and in TensorFlow Lite, which takes no uint16, int32."""
    return tf.int32 if lite and bands.depth == 16 else tf.as_dtype(f"uint{bands.depth}")


def build_server(model: keras.Model, views: Views = Views(), bands: Bands = RGB) -> SegmentationServer:
    """The `SegmentationServer` of a model; of one of other bands than RGB it takes uint8 or uint16 [N, H, W, C].

    Such pictures are served as tensors alone, not as files.

    Args:
        model, views: as `SegmentationServer`.
        bands: of the images.

    Raises:
        ValueError: as `SegmentationServer`; a model of another number of bands.
    """
    require_band_count(model, bands)
    return (SegmentationServer if bands.is_rgb else _server_of(bands))(model, views)


def require_band_count(model: keras.Model, bands: Bands) -> None:
    """Raises ValueError for a model of another number of bands."""
    if model.input_shape[-1] != bands.number:
        raise ValueError(f"the model takes images of {model.input_shape[-1]} bands, and info is of {bands.describe()}")


def _server_of(bands_served):
    """The class of servers of other bands than RGB: a signature belongs to a function, and that to its class."""
    spec = tf.TensorSpec([None, None, None, bands_served.number], image_dtype(bands_served), "image")

    class BandServer(SegmentationServer):
        """What is served of pictures of these bands."""

        bands, image = bands_served, spec
        classes_of_encoded = None

        @tf.function(input_signature=[spec], autograph=False)
        def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._answer(image)

        @tf.function(input_signature=[spec], autograph=False)
        def classes(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._choose(image)

    return BandServer
