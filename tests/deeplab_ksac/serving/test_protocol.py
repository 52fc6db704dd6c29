"""TensorFlow Serving's messages against the bytes that Google's own package gives for them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from deeplab_ksac.serving import protocol

# Of tensorflow-serving-api 2.15.1, SerializeToString(deterministic=True): a PredictRequest for version 300 of the
# model "scenes", signature "png", image_bytes = [ff d8, ""]; one for the label "stable" without inputs; a PredictionLog
# of the first; and a PredictResponse with png_bytes = [89 50, ""], error = ["", "broken"] and n = [1, 2] in float32.
REQUEST = "0a120a067363656e6573120308ac021a03706e67121d0a0b696d6167655f6279746573120e08071204120208024202ffd84200"
LABELED = "0a150a067363656e65731a03706e672206737461626c65"
LOG = "32350a330a120a067363656e6573120308ac021a03706e67121d0a0b696d6167655f6279746573120e08071204120208024202ffd84200"
RESPONSE = (
    "0a1b0a056572726f72121208071204120208024200420662726f6b656e0a170a016e1212080112041202080222080000803f"
    "000000400a1b0a09706e675f6279746573120e0807120412020802420289504200120d0a067363656e6573120308ac02"
)


def request():
    inputs = {"image_bytes": protocol.string_tensor([b"\xff\xd8", b""])}
    return protocol.predict_request(inputs, signature="png", model="scenes", version=300)


def test_requests_are_googles():
    assert request().hex() == REQUEST
    assert protocol.prediction_log(request()).hex() == LOG
    labeled = protocol.predict_request({}, signature="png", model="scenes", label="stable")
    assert labeled.hex() == LABELED


def test_the_strings_of_a_response_are_read():
    found = protocol.predicted_strings(bytes.fromhex(RESPONSE))
    assert found == {"png_bytes": [b"\x89P", b""], "error": [b"", b"broken"]}


def test_tensors_are_tensorflows():
    black = tf.make_ndarray(TensorProto.FromString(protocol.black_image_tensor(1, 2, 300, 3)))
    np.testing.assert_array_equal(black, np.zeros([1, 2, 300, 3], np.uint8))
    assert black.dtype == np.uint8
    strings = [b"x" * 200, b"", b"\x00\xff"]
    assert tf.make_ndarray(TensorProto.FromString(protocol.string_tensor(strings))).tolist() == strings


@pytest.mark.parametrize("cut", range(1, len(RESPONSE) // 2))
def test_a_part_of_a_response_is_none_or_a_shorter_one(cut):
    try:
        found = protocol.predicted_strings(bytes.fromhex(RESPONSE)[:cut])
    except ValueError as error:
        assert "not a message of protocol buffers" in str(error)
    else:
        assert set(found) <= {"png_bytes", "error"}
