"""What is served: a trained model as functions of images, without anything of Keras or of this project."""

import functools

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.decoding import decode_shown
from deeplab_ksac.prediction import scores

MAX_CLASSES = 256  # what fits the uint8 of "classes"
IMAGE = tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")
ENCODED = tf.TensorSpec([None], tf.string, name="image_bytes")


class SegmentationServer(tf.Module):
    """What is served: uint8 RGB [N, H, W, 3] of any N, H, W -> {"classes": uint8 [N, H, W], "probabilities":
    float32 [N, H, W, K]} at the image's size.

    Tracks the model's variables, not its layers: nothing of Keras or of this project is left in what is
    saved.

    Args:
        model: image [N, H, W, 3] float32 -> {"logits", …}.
        views: how the model sees the images.

    Raises:
        ValueError: for more than 256 classes.
    """

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
        averaged = self._scores(_checked(image))
        return {"classes": scores.most_likely(averaged), "probabilities": self._probabilities(averaged)}

    @tf.function(input_signature=[IMAGE], autograph=False)
    def classes(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """image -> {"classes"}: nothing is computed that only the probabilities need."""
        return {"classes": scores.most_likely(self._scores(_checked(image)))}

    @tf.function(input_signature=[ENCODED], autograph=False)
    def classes_of_encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """JPEG or PNG files [N], all of one size when upright, as `decode_shown` reads them -> {"classes"}."""
        spec = tf.TensorSpec([None, None, 3], tf.uint8)
        contents = tf.ensure_shape(image_bytes, ENCODED.shape)
        return self.classes(tf.map_fn(decode_shown, contents, fn_output_signature=spec))


def _checked(image):
    """The image as float32; a request of another rank is an error here, where the operations behind it would abort."""
    return tf.cast(tf.ensure_shape(image, IMAGE.shape), tf.float32)
