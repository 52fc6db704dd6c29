"""Label maps as PNGs."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.info import DatasetInfo
from tests import fakes


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (33, 17)])
def test_label_maps_come_back_from_two_decoders_as_they_were(size):
    for labels in (np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8), fakes.labels(1, 150, size)):
        encoded = encoding.encode_labels(labels)
        with Image.open(io.BytesIO(encoded)) as image:
            image.verify()
        image = Image.open(io.BytesIO(encoded))
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(tf.io.decode_png(encoded, channels=1)[..., 0], labels)


def test_label_maps_take_no_more_room_than_pillows():
    labels = fakes.labels(2, 21, (375, 500))
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "png")
    assert len(encoding.encode_labels(labels)) <= len(buffer.getvalue())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_values_are_counted_whatever_their_type(tmp_path, dtype):
    info = DatasetInfo("tiny", ("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    Image.fromarray(fakes.picture(0)).save(tmp_path / "a.png")
    labels = fakes.labels(0, 3)
    example = {"id": "a", "image": tmp_path / "a.png", "label": labels.astype(dtype)}
    _, counts = encoding.encode_example(example, info)
    np.testing.assert_array_equal(counts, np.bincount(labels.ravel(), minlength=256))
