"""Requests that TensorFlow Serving sends to a model itself when it loads it, so that no user waits for the first one.

The first request of a size takes longer than those after it: memory is laid out, kernels are chosen.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from deeplab_ksac.serving import protocol

FILE = "tf_serving_warmup_requests"  # in assets.extra; the name is TensorFlow Serving's


def write_warmup_requests(path: Path, sizes: Sequence[tuple[int, int]]) -> None:
    """Writes the TFRecord of `PredictionLog`s for pictures of these (height, width)."""
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in warmup_requests(sizes):
            writer.write(protocol.prediction_log(request))


def warmup_requests(sizes: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """A `PredictRequest` of "serving_default" and one of "png" for each size."""
    for height, width in sizes:
        image = protocol.black_image_tensor(1, height, width, 3)
        yield protocol.predict_request({"image": image}, signature="serving_default")
        file = tf.io.encode_png(tf.zeros([height, width, 3], tf.uint8)).numpy()
        yield protocol.predict_request({"image_bytes": protocol.string_tensor([file])}, signature="png")
