"""ClassAwareEndpoint in a Keras model."""

import numpy as np
import pytest
import tensorflow as tf

from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac.any_keras import KERAS_3, keras

STATISTICS = {"intra_class_variance", "center_similarity"}


def random_batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=[4, 9, 9, 3]).astype("float32"), rng.integers(0, 5, [4, 9, 9]).astype("int32")


def make_models(**arguments):
    """(training model with labels, inference model without, the endpoint)."""
    image, labels = keras.Input([9, 9, 3]), keras.Input([9, 9], dtype="int32")
    features = keras.layers.Conv2D(8, 3, 2, "same", name="context")(image)
    endpoint = ClassAwareEndpoint(5, name="car", **arguments)
    classifier = keras.layers.Conv2D(5, 1, name="classifier", dtype="float32")
    training = keras.Model([image, labels], classifier(endpoint(features, labels)))
    return training, keras.Model(image, classifier(features)), endpoint


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_fit_minimizes_and_logs_the_terms():
    images, labels = random_batch()
    training, inference, endpoint = make_models()
    features = keras.Model(inference.input, inference.get_layer("context").output)(images)
    expected = {name: float(value) for name, value in endpoint.diagnose(features, labels).items()}
    expected |= {name: float(value) for name, value in ClassAwareRegularizer(5)(features, labels).items()}
    targets = labels[:, ::2, ::2]
    plain = float(cross_entropy()(targets, inference(images)))
    training.compile(keras.optimizers.SGD(0.0), cross_entropy(), jit_compile=False)  # as `expected` is computed
    logs = {name: values[0] for name, values in training.fit([images, labels], targets, verbose=0).history.items()}
    assert set(logs) == {"loss", "intra_c2p", "inter_c2c", "inter_c2p"} | STATISTICS
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5)
    total = plain + sum(value for name, value in expected.items() if name not in STATISTICS)
    np.testing.assert_allclose(logs["loss"], total, rtol=1e-5)


def test_out_of_training_the_layer_adds_nothing_and_passes_its_features():
    images, labels = random_batch()
    training, inference, endpoint = make_models()
    np.testing.assert_array_equal(training([images, labels]), inference(images))
    assert not training.losses
    features = tf.ones([2, 3, 3, 4])
    np.testing.assert_array_equal(endpoint(features), features)
    training.compile("sgd", cross_entropy())
    targets = labels[:, ::2, ::2]
    loss = training.evaluate([images, labels], targets, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, cross_entropy()(targets, inference(images)), rtol=1e-6)


def test_the_inference_model_has_nothing_of_the_layer():
    _, inference, _ = make_models()
    assert [layer.name for layer in inference.layers[1:]] == ["context", "classifier"]


@pytest.mark.parametrize("ending", [".keras", ".h5", *([] if KERAS_3 else [""])])  # a SavedModel is Keras 2's alone
def test_a_model_with_moving_centers_comes_back_from_a_file(ending, tmp_path):
    images, labels = random_batch()
    training, _, _ = make_models(moving_average=0.9, terms={"inter_c2p": 0.5, "intra_c2p": 1.0}, settings="author")
    training.compile("sgd", cross_entropy())
    training.fit([images, labels], labels[:, ::2, ::2], verbose=0)
    training.save(tmp_path / f"model{ending}")
    loaded = keras.models.load_model(tmp_path / f"model{ending}")
    assert loaded.get_layer("car").get_config() == training.get_layer("car").get_config()
    assert len(loaded.get_weights()) == 5
    for one, other in zip(training.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    loaded.compile("sgd", cross_entropy())
    training.reset_metrics()  # Keras 3 takes the mean of all batches since then, those of `fit` among them
    one, other = (m.train_on_batch([images, labels], labels[:, ::2, ::2], return_dict=True) for m in (training, loaded))
    assert one == other


def test_half_precision_models_are_regularized_in_float32(mixed_policy):
    images, labels = random_batch()
    training, _, endpoint = make_models()
    assert endpoint(tf.ones([1, 2, 2, 3], tf.float16)).dtype == tf.float16
    training.compile(keras.optimizers.SGD(1e-2), cross_entropy())
    first = training.fit([images, labels], labels[:, ::2, ::2], verbose=0).history
    last = training.fit([images, labels], labels[:, ::2, ::2], epochs=20, verbose=0).history
    assert training.get_layer("context").compute_dtype == keras.mixed_precision.Policy(mixed_policy).compute_dtype
    assert np.isfinite(last["loss"]).all()
    assert last["loss"][-1] < first["loss"][0]
