"""What is served: a trained model as functions of images, without anything of Keras or of this project."""

import contextlib
import functools

import tensorflow as tf

from deeplab_ksac.prediction import views as inference

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
        scales, flip, average: as `inference.predict_probabilities`.

    Raises:
        ValueError: for scales or an average that `inference` refuses, or more than 256 classes.
    """

    def __init__(self, model, *, scales=(1.0,), flip=False, average="logits"):
        super().__init__(name="segmentation_server")
        inference.check_views(scales, None)
        inference.check_average(average)
        forward = inference.logits_model(model)
        if forward.output_shape[-1] > MAX_CLASSES:
            raise ValueError(f"{forward.output_shape[-1]} classes do not fit uint8 (at most {MAX_CLASSES})")
        self.served_variables = list(forward.weights)
        # In a partial, into which tf.Module does not look: the layers stay out of the SavedModel.
        self._scores = functools.partial(
            inference.predict_scores, inference.logits_function(model), scales=scales, flip=flip, average=average
        )
        self._normalized = average == "probabilities"

    @tf.function(input_signature=[IMAGE], autograph=False)
    def __call__(self, image):
        """image -> {"classes", "probabilities"}."""
        scores = self._scores(tf.cast(image, tf.float32))
        probabilities = scores if self._normalized else tf.nn.softmax(scores)
        return {"classes": inference.most_likely(scores), "probabilities": probabilities}

    @tf.function(input_signature=[IMAGE], autograph=False)
    def classes(self, image):
        """image -> {"classes"}: nothing is computed that only the probabilities need."""
        return {"classes": inference.most_likely(self._scores(tf.cast(image, tf.float32)))}

    @tf.function(input_signature=[ENCODED], autograph=False)
    def classes_of_encoded(self, image_bytes):
        """JPEG or PNG files [N], all of one size and taken as they are stored (EXIF turns nothing) -> {"classes"}."""
        spec = tf.TensorSpec([None, None, 3], tf.uint8)
        return self.classes(tf.map_fn(_decoded, image_bytes, fn_output_signature=spec))


def _decoded(content):
    return tf.io.decode_image(content, channels=3, expand_animations=False)


@contextlib.contextmanager
def whole_maps(model):
    """Inside, attention over all pixels is not computed in parts, in a loop that collects tensors."""
    layers = [layer for layer in model.submodules if hasattr(layer, "map_bytes")]
    kept = [layer.map_bytes for layer in layers]
    for layer in layers:
        layer.map_bytes = None
    try:
        yield
    finally:
        for layer, value in zip(layers, kept):
            layer.map_bytes = value
