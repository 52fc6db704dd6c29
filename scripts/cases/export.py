"""The exported model against the model itself: the same classes of the same image."""

import functools
import tempfile

import numpy as np
import tensorflow as tf

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.model import build_model
from deeplab_ksac.prediction import scores
from deeplab_ksac.scripts.cases import Bound, Case

SIZE, CLASSES = 513, 21
IMAGE = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)


@functools.cache
def network():
    """A network with KSAC at output stride 16, for both sides: the cheaper the backbone, the more all else weighs."""
    return build_model(ModelSpec(backbone=part("mobilenet_v2"), head=part("ksac")), CLASSES)


def prepare_exported():
    """The default signature of the SavedModel."""
    info = DatasetInfo("any", tuple(f"class {k}" for k in range(CLASSES)), voc_palette(CLASSES))
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        path = export_saved_model(network(), f"{folder}/served", info=info, check=False)
        served = tf.saved_model.load(str(path))
    signature, image = served.signatures["serving_default"], tf.constant(IMAGE)
    served_as_long_as_it_runs = [served]
    return lambda: (served_as_long_as_it_runs, signature(image=image))


def prepare_model():
    """The model's own forward pass and the likeliest classes."""
    forward, image = scores.logits_function(network()), tf.constant(IMAGE, tf.float32)
    classes = tf.function(lambda image: scores.most_likely(forward(image)), [scores.IMAGE_SPEC], autograph=False)
    return lambda: classes(image)


CASES = {
    "exported_forward": Case(
        title="exported SavedModel, 513×513",
        sides={"exported": prepare_exported, "model": prepare_model},
        bounds=(Bound("exported", "model", 1.02),),
    ),
}
