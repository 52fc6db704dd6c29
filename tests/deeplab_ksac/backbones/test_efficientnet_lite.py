"""EfficientNet-Lite against the published architecture, and Lite0 with its published weights."""

import functools
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.efficientnet_lite import efficientnet_lite
from deeplab_ksac.backbones.pretrained import load_weights, weight_arguments
from tests.datasets.samples import sample
from tests.deeplab_ksac.backbones.photographs import FOLDER, GROUPS, PHOTOGRAPHS, photographs
from tests.deeplab_ksac.backbones.seeded import sampled, seeded_image

STAGES = ("c2", "c3", "c4", "c5")
TINY = {"width": 0.25, "depth": 0.5}
REFERENCE = pathlib.Path(__file__).with_name("references") / "tf_efficientnet_lite0.in1k.npz"

# timm's parameters of the whole networks, and the channels of its features
PUBLISHED = {
    "efficientnet_lite0": (4_652_008, (24, 40, 112, 320)),
    "efficientnet_lite1": (5_416_680, (24, 40, 112, 320)),
    "efficientnet_lite2": (6_092_072, (24, 48, 120, 352)),
    "efficientnet_lite3": (8_197_096, (32, 48, 136, 384)),
    "efficientnet_lite4": (13_006_568, (32, 56, 160, 448)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_channels_are_the_published_ones(name):
    whole, channels = PUBLISHED[name]
    model = BACKBONES[name](32)
    assert tuple(model.output[stage].shape[-1] for stage in STAGES) == channels
    classifier = channels[-1] * 1280 + 2 * 1280 + 1280 * 1000 + 1000  # its 1×1 convolution, normalized, and itself
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == whole - classifier


def test_expanded_endpoints_are_what_the_strided_kernels_read():
    shapes = {stage: output.shape[-1] for stage, output in efficientnet_lite(16, endpoints="expanded").output.items()}
    assert shapes == {"c2": 6 * 24, "c3": 6 * 40, "c4": 6 * 112, "c5": 320}


def test_dilations_follow_the_strides_taken_away():
    model = efficientnet_lite(8, **TINY)
    blocks = ("2a", "3a", "4a", "4b", "5a", "5b", "6a", "6b", "7a")
    kernels = [model.get_layer(f"block{block}_dwconv") for block in blocks]
    assert [kernel.dilation_rate[0] for kernel in kernels] == [1, 1, 1, 2, 2, 2, 2, 4, 4]
    assert [kernel.strides[0] for kernel in kernels] == [2, 2, 1, 1, 1, 1, 1, 1, 1]


def test_blocks_are_left_out_ever_more_often_with_depth():
    model = efficientnet_lite(8)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    # 16 blocks, of which those with a shortcut: the second and later ones of a stage
    assert rates == pytest.approx([0.2 * position / 16 for position in (2, 4, 6, 7, 9, 10, 12, 13, 14)])


def test_centered_kernels_lie_on_every_other_pixel_from_the_first_on():
    model = efficientnet_lite(32, padding="centered", **TINY)
    stem = model.get_layer("stem_conv")
    kernel = np.zeros([3, 3, 3, 32], "float32")
    kernel[1, 1, 0, 0] = 1  # passes the middle tap's red on
    stem.set_weights([kernel])
    for size in (33, 34):
        image = np.random.default_rng(0).normal(size=[1, size, size, 3]).astype("float32")
        np.testing.assert_allclose(stem(image)[..., 0], image[:, ::2, ::2, 0], atol=1e-6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"width": 0}, "width and depth must be above 0, not 0 and 1.0"),
        ({"depth": -1}, "width and depth must be above 0, not 1.0 and -1"),
        ({"drop_path_rate": 1}, r"drop_path_rate must lie in \[0, 1\), not 1"),
        ({"endpoints": "wide"}, "endpoints must be 'expanded' or 'narrow', not 'wide'"),
        ({"padding": "valid"}, "padding must be one of same, centered, not 'valid'"),
        ({"preprocessing": "gray"}, "preprocessing must be one of tf, torch, caffe, none, not 'gray'"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        efficientnet_lite(16, **arguments)


@pytest.mark.parametrize(
    "architecture, expected",
    [
        ("tf_efficientnet_lite0", {"preprocessing": "tf", "padding": "same", "epsilon": 1e-3}),
        ("efficientnet_lite0", {"preprocessing": "torch", "padding": "centered", "epsilon": 1e-5}),
    ],
)
def test_files_say_which_padding_and_epsilon_they_were_trained_with(architecture, expected, tmp_path):
    path = str(tmp_path / "model.safetensors")
    safetensors.numpy.save_file({"x": np.zeros(1, "float32")}, path, {"model": architecture})
    assert weight_arguments("efficientnet_lite0", path) == expected


@pytest.fixture
def weights():
    """The published file."""
    return str(sample("weights/tf_efficientnet_lite0.in1k/model.safetensors"))


@functools.cache
def published(weights, output_stride, **own):
    """Lite0 with the weights of a file."""
    arguments = {**weight_arguments("efficientnet_lite0", weights), **own}
    model = BACKBONES["efficientnet_lite0"](output_stride, **arguments)
    load_weights(model, "efficientnet_lite0", weights, arguments)
    return model


@pytest.fixture
def reference():
    with np.load(REFERENCE) as stored:
        return dict(stored)


def test_the_published_file_has_a_place_for_every_tensor_but_the_classifiers(weights):
    published(weights, 32)  # raises for a tensor that is missing or unused
    with safetensors.safe_open(weights, "numpy") as file:
        tensors = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    head = ("conv_head.", "bn2.", "classifier.")
    placed = [name for name in tensors if not name.startswith(head) and not name.endswith("num_batches_tracked")]
    assert len(placed) == len(published(weights, 32).weights)
    assert sum(int(np.prod(tensors[name])) for name in placed) == published(weights, 32).count_params()
    assert weight_arguments("efficientnet_lite0", weights)["preprocessing"] == "tf"


@pytest.mark.parametrize("output_stride", [8, 32])
def test_features_from_the_published_weights_are_timms(output_stride, weights, reference):
    pyramid = published(weights, output_stride, preprocessing="none")(seeded_image(65))
    for stage in STAGES:
        found, name = pyramid[stage].numpy(), f"os{output_stride}_{stage}"
        assert found.shape == tuple(reference[f"{name}_shape"])
        np.testing.assert_allclose(
            found.ravel()[sampled(found.shape)],
            reference[f"{name}_values"],
            rtol=0,
            atol=1e-5 * reference[f"{name}_largest"],
        )


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_all_features_of_photographs_are_timms_where_it_is_at_hand(output_stride, weights):
    pytest.importorskip("torch")
    pytest.importorskip("timm", exc_type=ImportError)
    from tests.deeplab_ksac.backbones.references.make_published import features

    images = photographs(sample(FOLDER))[:2, :129, :160]
    pyramid = published(weights, output_stride)(images)
    for stage, expected in zip(STAGES, features(weights, images / 127.5 - 1, output_stride), strict=True):
        np.testing.assert_allclose(pyramid[stage], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def scores():
    """The scores [9, 1000] that the file's own classifier gives the photographs on our features."""
    images = photographs(sample(FOLDER))
    path = str(sample("weights/tf_efficientnet_lite0.in1k/model.safetensors"))
    file = safetensors.numpy.load_file(path)
    hidden = published(path, 32)(images)["c5"].numpy() @ file["conv_head.weight"][:, :, 0, 0].T
    hidden = (hidden - file["bn2.running_mean"]) / np.sqrt(file["bn2.running_var"] + 1e-3)
    hidden = np.clip(hidden * file["bn2.weight"] + file["bn2.bias"], 0, 6)
    return hidden.mean((1, 2)) @ file["classifier.weight"].T + file["classifier.bias"]


def test_class_scores_of_photographs_are_pytorchs(scores, reference):
    np.testing.assert_allclose(
        scores.ravel()[sampled(scores.shape, 256)], reference["scores"], rtol=0, atol=1e-5 * reference["scores_largest"]
    )


def test_photographs_of_cats_and_dogs_are_taken_for_cats_and_dogs(scores):
    probabilities = np.exp(scores - scores.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    own = [probabilities[i, list(GROUPS[group])].sum() for i, group in enumerate(PHOTOGRAPHS.values())]
    chance = [len(GROUPS[group]) / 1000 for group in PHOTOGRAPHS.values()]
    assert np.mean(chance) < 0.06
    assert np.mean(own) > 0.4  # not near 1: of two of the cats the face is hardly to be seen
    dogs = [probability for probability, group in zip(own, PHOTOGRAPHS.values()) if group == "dog"]
    assert min(dogs) > 0.5
