"""What weight sets bring with them, and Keras' own files against Keras' own networks."""

import json

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.keras_weights import KerasWeights, load_keras, same_layers
from deeplab_ksac.backbones.pretrained import KERAS, TIMM, load_weights, weight_arguments
from tests.deeplab_ksac.backbones.families import family
from tests.deeplab_ksac.backbones.random_weights import randomize
from tests.deeplab_ksac.backbones.test_backbones import TINY

RESNET = {"stem": "7x7", "blocks": (1, 1, 2, 1), "width": 64}


def small_file(folder, tensors=None, **metadata):
    path = str(folder / "model.safetensors")
    safetensors.numpy.save_file(tensors or {"conv1.weight": np.zeros([64, 3, 7, 7], "float32")}, path, metadata)
    return path


def image(*size):
    return np.random.default_rng(0).uniform(0, 255, [1, *size, 3]).astype("float32")


def assert_equal_but_for_rounding(found, expected):
    # float32 rounds at 1.2e-7; no output is a sum of more than 2^13 terms, rounding at random: 2^10
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.2e-7 * 2**10 * np.abs(expected).max())


def test_every_line_belongs_to_a_backbone():
    assert set(TIMM) <= set(BACKBONES) and set(KERAS) <= set(TIMM)


@pytest.mark.parametrize(
    "tensor, stem",
    [("conv1.weight", "7x7"), ("conv1.0.weight", "deep"), ("narrow", "deep_narrow")],
)
def test_timms_resnets_say_their_stem_and_bring_strides_epsilon_and_preprocessing(tensor, stem, tmp_path):
    channels, name = (32, "conv1.0.weight") if tensor == "narrow" else (64, tensor)
    path = small_file(tmp_path, {name: np.zeros([channels, 3, 3, 3], "float32")})
    expected = {"preprocessing": "torch", "epsilon": 1e-5, "variant": "v1.5", "stem": stem}
    assert weight_arguments("resnet101", path) == expected


def test_a_config_beside_the_file_tells_the_preprocessing_and_the_architecture(tmp_path):
    path = small_file(tmp_path)
    assert weight_arguments("efficientnet_b0", path)["preprocessing"] == "torch"
    config = {"architecture": "efficientnet_b0", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert weight_arguments("efficientnet_b0", path) == {"preprocessing": "tf", "padding": "centered", "epsilon": 1e-5}
    assert weight_arguments("efficientnet_b0", str(tmp_path)) == weight_arguments("efficientnet_b0", path)
    config["pretrained_cfg"]["mean"] = [0.1] * 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"asks for images of mean \[0\.1, 0\.1, 0\.1\]"):
        weight_arguments("efficientnet_b0", path)


NO_MEANS = ("x", ["a"] * 3, [None] * 3, [0.5], [0.5] * 4, 0.5, None, {})


def config_text(**cfg):
    return json.dumps({"pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, **cfg}})


@pytest.mark.parametrize("name", ("resnet50", "efficientnet_b0", "swin_tiny"))
@pytest.mark.parametrize(
    "text, words",
    (
        ("[]", "holds no JSON object"),
        ("null", "holds no JSON object"),
        ("3", "holds no JSON object"),
        ('{"a": ', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        (b'{"\xe9": 1}', "is no UTF-8 text"),
        ('{"pretrained_cfg": null}', "'pretrained_cfg', which must be an object"),
        ('{"pretrained_cfg": []}', "'pretrained_cfg', which must be an object"),
        ('{"architecture": 3}', "3 as 'architecture', which must be text"),
        ('{"pretrained_cfg": {"architecture": []}}', "'architecture', which must be text"),
        *(
            (config_text(mean=value), "'mean', which must be three numbers")
            for value in ("x", ["a"] * 3, [0.5], None, {})
        ),
        *(
            (config_text(std=value), "'std', which must be three numbers above 0")
            for value in ("x", [0] * 3, 0.5, [1] * 4)
        ),
    ),
)
def test_a_damaged_config_beside_the_file_is_named(name, text, words, tmp_path):
    path = small_file(tmp_path)
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"config\.json.*" + words) as refused:
        weight_arguments(name, path)
    assert "\n" not in str(refused.value)


def test_the_paper_s_efficientnets_pad_as_tensorflow(tmp_path):
    path = small_file(tmp_path, model="tf_efficientnet_b0")
    assert weight_arguments("efficientnet_b0", path) == {"preprocessing": "torch", "padding": "same", "epsilon": 1e-3}


@pytest.mark.parametrize(
    "name, weights, message",
    [
        ("xception65", "imagenet", "imagenet: backbone 'xception65' has no weights by Keras"),
        ("nothing", "a.safetensors", "backbone 'nothing' has no safetensors files; these have: resnet50"),
    ],
)
def test_backbones_without_such_weights_are_refused_in_words(name, weights, message):
    with pytest.raises(ValueError, match=message):
        weight_arguments(name, weights)


@pytest.mark.parametrize("weights", ["nowhere.h5", "nowhere.safetensors"])
def test_files_that_are_not_there_are_named(weights, tmp_path):
    model = BACKBONES["resnet50"](32, blocks=(1, 1, 1, 1), width=2)
    with pytest.raises(FileNotFoundError, match=weights.replace(".", r"\.")):
        load_weights(model, "resnet50", str(tmp_path / weights), {})


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"the folder {tmp_path} has no model\.safetensors: name a file"):
        weight_arguments("resnet50", str(tmp_path))


def dense_network(units):
    return keras.Sequential([keras.Input([3]), keras.layers.Dense(units, name="dense")], name="small")


def read_by_keras(weights, arguments):
    network = dense_network(4)
    network.load_weights(weights)
    return network


def test_a_keras_file_of_another_network_is_refused(tmp_path):
    path, published = str(tmp_path / "own.h5"), KerasWeights(read_by_keras, same_layers, {})
    dense_network(5).save_weights(path)
    with pytest.raises(ValueError, match=r"own\.h5 does not fit Keras' network of small without its top"):
        load_keras(dense_network(4), path, published, {})
    infinite = dense_network(4)
    infinite.set_weights([np.full([3, 4], np.nan), np.zeros(4)])
    infinite.save_weights(path)
    with pytest.raises(ValueError, match=r"own\.h5 cannot be used; NaN or infinite: dense"):
        load_keras(dense_network(4), path, published, {})
    dense_network(4).save_weights(path)
    model = dense_network(5)
    with pytest.raises(ValueError, match=r"a network other than small; dense takes \[\[3, 5\], \[5\]\], not"):
        load_keras(model, path, published, {})


def test_weights_that_cannot_be_fetched_are_asked_for_as_a_file():
    def fetch(weights, arguments):
        raise Exception("URL fetch failure")  # what keras.utils.get_file raises

    with pytest.raises(OSError, match=r"could not be fetched \(URL fetch failure\); give the path of the file"):
        load_keras(dense_network(4), "imagenet", KerasWeights(fetch, same_layers, {}), {})


def test_caffes_resnet_comes_over_with_its_biases_and_its_order_of_colors():
    def stages(x):
        for number, count in enumerate(RESNET["blocks"], start=2):
            stride = 1 if number == 2 else 2
            x = family("resnet").stack1(x, 64 * 2 ** (number - 2), count, stride1=stride, name=f"conv{number}")
        return x

    original = family("resnet").ResNet(stages, False, True, "resnet", include_top=False, weights=None)
    randomize(original)
    arguments = {**KERAS["resnet50"].arguments, **RESNET, "multi_grid": (1, 1, 1)}
    model = BACKBONES["resnet50"](32, **arguments)
    published = KerasWeights(lambda weights, own: original, KERAS["resnet50"].copy, {})
    load_keras(model, "imagenet", published, arguments)
    picture = image(64, 96)
    expected = original(keras.applications.resnet.preprocess_input(picture.copy()))
    assert_equal_but_for_rounding(model(picture)["c5"], expected)


def test_keras_efficientnet_comes_over_with_its_preprocessing(tmp_path):
    blocks = TINY["efficientnet_b0"]["blocks"]
    original = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=[64, 96, 3], blocks_args=[dict(block) for block in blocks]
    )
    randomize(original)
    normalization = next(x for x in original.layers if isinstance(x, keras.layers.Normalization))
    normalization.set_weights([np.array([0.485, 0.456, 0.406]), np.square([0.229, 0.224, 0.225]), np.array(0)])
    path = str(tmp_path / "b0.h5")
    original.save_weights(path)

    model = BACKBONES["efficientnet_b0"](32, blocks=blocks, **weight_arguments("efficientnet_b0", path))
    load_weights(model, "efficientnet_b0", path, {"blocks": blocks})
    last = [layer for layer in original.layers if layer.name.startswith("block7")][-1]
    picture = image(64, 96)
    assert_equal_but_for_rounding(model(picture)["c5"], keras.Model(original.input, last.output)(picture))
