"""What a layer of anybody's Keras model has to stand, of Keras 2 and of Keras 3 on each backend."""

import functools

import numpy as np
import pytest

from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac.any_keras import KERAS_3, keras
from deeplab_ksac.tensor_ops import ops
from tests.keras3.arrays import JAX, TORCH, random, set_policy, to_numpy
from tests.keras3.public_layers import CHANNELS, LAYERS, NUM_CLASSES
from tests.random_layers import path_of, randomize

IMAGE = random([2, 7, 5, CHANNELS])
WITHOUT_AVERAGES = {"AxialAttention_plain", "ChannelAttention", "SqueezeExcite", "ClassAwareEndpoint"}  # of any kind
WITHOUT_AVERAGES |= {"ChannelizedAxialAttention", "KSAC_direct"}  # with layer normalization


@pytest.fixture
def policy():
    """Sets the global policy, for one test."""
    yield set_policy
    set_policy("float32")


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model that is a class: one of `LAYERS`, and a classifier."""

    def __init__(self, name_of_layer, **kwargs):
        super().__init__(**kwargs)
        self.name_of_layer = name_of_layer
        self.inner = LAYERS[name_of_layer](name="inner")
        self.classifier = keras.layers.Conv2D(2, 1, name="classifier")

    def call(self, features, training=None):
        return self.classifier(self.inner(features))

    def get_config(self):
        return {**super().get_config(), "name_of_layer": self.name_of_layer}


def functional(name, **kwargs):
    """A model of one layer, for maps of any size, with random weights."""
    features = keras.Input([None, None, CHANNELS])
    return randomize(keras.Model(features, LAYERS[name](**kwargs)(features)))


@functools.cache
def functional_once(name, **kwargs):
    """The model of `functional` in float32, made once; not to be changed."""
    return functional(name, **kwargs)


def outputs(model, image=IMAGE):
    return to_numpy(model(image))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_functional_model_comes_back_from_its_file(name, ending, tmp_path):
    model = functional_once(name)
    model.save(tmp_path / f"model{ending}")
    loaded = keras.models.load_model(tmp_path / f"model{ending}")
    own_names = [[path_of(w).rpartition("/")[2] for w in one.weights] for one in (loaded, model)]
    assert own_names[0] == own_names[1]
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()


@pytest.mark.parametrize("name", LAYERS)
def test_weights_alone_come_back_from_their_file(name, tmp_path):
    model = functional_once(name)
    model.save_weights(tmp_path / "model.weights.h5")
    other = functional(name)
    for weight in other.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(outputs(other), outputs(model))


@pytest.mark.parametrize("back", [".keras", ".h5", "clone"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_frozen_layer_comes_back_frozen_with_its_weights_where_they_were(name, back, tmp_path):
    model = functional(name)
    model.layers[-1].trainable = False
    if back == "clone":
        loaded = keras.models.clone_model(model)
        loaded.set_weights(model.get_weights())
    else:
        model.save(tmp_path / f"model{back}")
        loaded = keras.models.load_model(tmp_path / f"model{back}")
    before = loaded.get_weights()
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
    np.testing.assert_array_equal(to_numpy(loaded(IMAGE, training=True)), to_numpy(model(IMAGE, training=True)))
    for weight, kept in zip(loaded.get_weights(), before, strict=True):  # the moving averages, too
        np.testing.assert_array_equal(weight, kept)


@pytest.mark.parametrize("name", sorted({*LAYERS} - WITHOUT_AVERAGES))
def test_training_moves_all_averages_of_normalization_and_prediction_none(name):
    model = functional(name)
    averages = [index for index, weight in enumerate(model.weights) if "moving_" in path_of(weight)]
    assert averages
    for training in (False, True):
        before = [np.copy(weight) for weight in model.get_weights()]
        model(IMAGE, training=training)
        after = model.get_weights()
        for index in averages:
            assert np.array_equal(after[index], before[index]) != training, path_of(model.weights[index])


@pytest.mark.parametrize("name", LAYERS)
def test_a_subclassed_model_comes_back_from_its_file(name, tmp_path):
    model = Subclassed(name)
    model(IMAGE)
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
    model.save_weights(tmp_path / "model.weights.h5")
    other = Subclassed(name)
    other(IMAGE)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(outputs(other), outputs(model))


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_of_unknown_sizes_gives_at_any_size_what_the_layer_gives(name):
    model = functional_once(name)
    for size in ((7, 5), (1, 4)):
        image = random([2, *size, CHANNELS], seed=1)
        np.testing.assert_array_equal(outputs(model, image), outputs(model.layers[-1], image))
        assert outputs(model, image).shape[1:3] == size
        assert outputs(model, image).shape[-1] == model.output_shape[-1]


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "ClassAwareEndpoint"])
def test_a_layer_is_whole_once_it_is_built(name):
    """Keras 3 loads the weights of a layer that it has built from a shape."""
    if not KERAS_3:
        pytest.skip("Keras 2 builds what is inside of a layer when it is called")
    built, called = LAYERS[name](), LAYERS[name]()
    built.build(IMAGE.shape)
    called(IMAGE)
    assert [tuple(w.shape) for w in built.weights] == [tuple(w.shape) for w in called.weights]
    assert len({w.path for w in built.weights}) == len(built.weights)


@pytest.mark.parametrize("precision, own", [("mixed_float16", True), ("mixed_bfloat16", False)])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_in_the_precision_of_its_own_or_of_the_process(name, precision, own, policy, tmp_path):
    if own:
        model = functional(name, dtype=keras.mixed_precision.Policy(precision))
    else:
        policy(precision)
        model = functional(name)
        policy("float32")
    exact = functional_once(name, dtype="float32")
    half = model(IMAGE)
    if name not in ("ChannelAttention", "ClassAwareEndpoint"):  # whose results are float32, and the features
        assert ops.dtype_name(half) == precision[6:]
    assert {str(np.asarray(weight).dtype) for weight in model.get_weights()} == {"float32"} or not model.weights
    # outputs of some units after some twenty roundings, each of half a unit in the last place
    rounding = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}[precision]
    np.testing.assert_allclose(to_numpy(half), outputs(exact), rtol=20 * rounding, atol=40 * rounding)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].compute_dtype == model.layers[-1].compute_dtype == precision[6:]
    np.testing.assert_array_equal(outputs(loaded), outputs(model))


ROWS = {  # precision -> layers one after the other; few where compiling takes its time
    "float32": ("KSAC", "Algorithm_2", "ChannelizedAxialAttention", "ChannelizedSelfAttention", "SqueezeExcite"),
    "mixed_bfloat16": ("KernelSharingAtrousConv", "ChannelizedAxialAttention"),
    "mixed_float16": ("KSAC", "ChannelizedSelfAttention"),
}


def in_a_row(names):
    """A model (image, labels) -> logits with these layers inside, and CAR."""
    image, labels = keras.Input([None, None, 3]), keras.Input([None, None], dtype="int32")
    x = keras.layers.Conv2D(8, 3, 2, "same")(image)
    for name in names:
        x = LAYERS[name]()(x)
    x = ClassAwareEndpoint(NUM_CLASSES, moving_average=0.9)(x, labels)
    return keras.Model([image, labels], keras.layers.Conv2D(NUM_CLASSES, 1, dtype="float32")(x))


@pytest.mark.parametrize("precision", ROWS)
def test_fit_compiled_trains_all_weights_and_moves_all_averages(precision, policy):
    policy(precision)
    keras.utils.set_random_seed(0)
    model = in_a_row(ROWS[precision])
    images = random([4, 9, 9, 3])
    labels = np.random.default_rng(0).integers(0, NUM_CLASSES, [4, 9, 9]).astype("int32")
    # PyTorch would need a C++ compiler to compile
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, jit_compile=not TORCH)
    before = model.get_weights()
    logs = model.fit([images, labels], labels[:, ::2, ::2], epochs=3, verbose=0, batch_size=4).history
    assert np.isfinite(logs["loss"]).all()
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        assert np.isfinite(new).all() and (precision != "float32" or not np.array_equal(old, new)), path_of(weight)
    terms = {"intra_c2p", "inter_c2c", "inter_c2p"}
    assert terms <= set(logs) if not JAX else set(logs) == {"loss"}
    assert logs["loss"][-1] > to_numpy(loss(labels[:, ::2, ::2], model([images, labels])))  # which adds no terms


def test_the_terms_in_a_model_are_those_of_a_call():
    features, labels = keras.Input([4, 5, CHANNELS]), keras.Input([9, 9], dtype="int32")
    regularizer = ClassAwareRegularizer(NUM_CLASSES, centers="image")
    model = keras.Model([features, labels], regularizer(features, labels))
    values = random([2, 4, 5, CHANNELS]), np.random.default_rng(0).integers(0, NUM_CLASSES, [2, 9, 9]).astype("int32")
    found, expected = model(values), regularizer(*values)
    assert set(found) == set(expected) == {"intra_c2p", "inter_c2c", "inter_c2p"}
    for name, value in expected.items():
        assert to_numpy(found[name]) == to_numpy(value)
