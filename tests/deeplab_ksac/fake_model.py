"""The smallest model of this project's form: image -> {"logits" at the image's size, "features"}."""

import numpy as np

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.layers import ConvNormAct, ResizeLike


def build_fake_model(num_classes=5, *, strides=2, seed=0, channels=3):
    """Two convolutions and a resize, with random weights that depend on the seed alone."""
    keras.utils.set_random_seed(seed)
    image = keras.Input([None, None, channels], name="image")
    normalized = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    features = ConvNormAct(6, 3, strides=strides)(normalized)
    logits = keras.layers.Conv2D(num_classes, 3, padding="same", name="classifier")(features)
    return keras.Model(image, {"logits": ResizeLike(dtype="float32")([logits, image]), "features": features})


def build_pointwise_model(num_classes=5, *, seed=0):
    """A model whose logits at a pixel depend on that pixel alone: every window sees it the same."""
    keras.utils.set_random_seed(seed)
    image = keras.Input([None, None, 3], name="image")
    normalized = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    return keras.Model(image, {"logits": keras.layers.Conv2D(num_classes, 1, name="classifier")(normalized)})


def random_images(count, height, width, *, seed=0):
    """[N, H, W, 3] float32 in 0 … 255, whole numbers."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3)).astype("float32")


def fake_info(num_classes=5):
    """A data set of so many classes."""
    names = tuple(f"class {k}" for k in range(num_classes))
    colors = tuple((40 * k % 256, 90 * k % 256, 170 * k % 256) for k in range(num_classes))
    return DatasetInfo("fake", names, colors)
