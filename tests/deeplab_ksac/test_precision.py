"""Models in half precision, and models that hold CAR's projection no longer."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.export.checking import rms, tolerance
from deeplab_ksac.model import build_model
from deeplab_ksac.precision import copy_weights, in_precision
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.fake_model import fake_info, random_images
from tests.random_layers import randomize

SPEC = ModelSpec(
    backbone=part("resnet50", blocks=(1, 1, 1, 1), width=4),
    head=part("caa", filters=8, key_filters=4, gate_width=4, gate_depth=2),
    output_stride=16,
)


@pytest.fixture(scope="module")
def model():
    return randomize(build_model(SPEC, 5))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_half_the_numbers_and_near_the_same(model, precision, tmp_path):
    policy = keras.mixed_precision.global_policy().name
    half = in_precision(model, SPEC, precision)
    assert keras.mixed_precision.global_policy().name == policy
    gates = [weight.dtype for weight in half.weights if len(weight.shape) == 2]
    kernels = [weight.dtype for weight in half.weights if len(weight.shape) == 4]
    assert set(gates) == {tf.float32} and set(kernels) == {tf.as_dtype(precision)}
    image = random_images(1, 33, 41)
    found = scores.predict_probabilities(half, image).numpy()
    expected = scores.predict_probabilities(model, image).numpy()
    logits = scores.predict_logits(model, image).numpy()
    assert 0 < rms(found - expected) <= tolerance(half, logits)
    if precision == "float16":
        path = export_saved_model(half, tmp_path / "served", info=fake_info(), check=False)
        served = tf.saved_model.load(str(path)).signatures["probabilities"](image=tf.constant(image, tf.uint8))
        assert rms(served["probabilities"] - found) <= tolerance(half, logits)
        stored = dict(tf.train.list_variables(f"{path}/variables/variables"))
        assert len(stored) > len(half.weights)
        np.testing.assert_array_equal(found.argmax(axis=-1), served["classes"])


def test_a_weight_beyond_the_range_and_another_precision_are_refused(model):
    assert in_precision(model, SPEC, "float32") is model
    with pytest.raises(ValueError, match="precision must be one of float32, float16, bfloat16, not 'int4'"):
        in_precision(model, SPEC, "int4")
    half = in_precision(model, SPEC, "float16")
    kernel = next(weight for weight in model.weights if weight.name.startswith("classifier/kernel"))
    kept = kernel.numpy()
    kernel.assign(kept + 1e5)
    for copy in (lambda: in_precision(model, SPEC, "float16"), lambda: copy_weights(model, half)):
        with pytest.raises(ValueError, match="classifier/kernel:0 has values outside the range of float16"):
            copy()
    kernel.assign(kept)
