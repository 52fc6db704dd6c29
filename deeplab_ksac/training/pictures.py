"""Pictures of a validation split as they improve, for TensorBoard."""

import itertools

import numpy as np
import tensorflow as tf

from deeplab_ksac.figures.colors import colorize, to_bytes
from deeplab_ksac.prediction.scores import predict_classes


def log_pictures(model, batches, info, count=4):
    """Writes image | truth | prediction of the first images of `batches` as TensorBoard pictures.

    To be called where a summary writer and a step are set.
    """
    images = (
        (batch["image"][index : index + 1], batch["labels"][index].numpy())
        for batch in batches
        for index in range(batch["image"].shape[0])
    )
    for number, (image, labels) in enumerate(itertools.islice(images, count)):
        classes = predict_classes(model, image)[0].numpy()
        panels = [to_bytes(image[0].numpy()), colorize(labels, info.colors), colorize(classes, info.colors)]
        tf.summary.image(f"pictures/{number}", np.concatenate(panels, axis=1)[np.newaxis])
