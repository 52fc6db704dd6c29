"""What is read out of models, against what the models compute."""

import numpy as np
import pytest

from deeplab_ksac.keras2 import keras
from deeplab_ksac.figures import probes
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.decoders import Bottleneck
from deeplab_ksac.model import segmentation_model
from tests.deeplab_ksac.fake_model import build_pointwise_model, random_images
from tests.random_layers import randomize

IMAGE = random_images(1, 33, 49)[0]
ATTENTION = {"filters": 6, "key_filters": 4}
ARGUMENTS = {
    "ksac": {"filters": 4, "atrous_rates": (1, 2)},
    "deeplabv3": {"filters": 4, "atrous_rates": (1, 2)},
    "axial": ATTENTION,
    "caa": {**ATTENTION, "gate_width": 3, "gate_depth": 1},
    "danet": {**ATTENTION, "num_classes": 3},
    "sequential": {**ATTENTION, "num_classes": 3, "ratio": 2},
}


def model_with(name, **changes):
    """One strided convolution, the head, a bottleneck for each of its branches."""
    image = keras.Input([None, None, 3])
    c5 = keras.layers.Conv2D(5, 8, 8, "same")(keras.layers.Rescaling(1 / 255)(image))
    head = HEADS[name](**{**ARGUMENTS[name], **changes}, name="head")
    bottleneck = [Bottleneck(filters=4, name=f"bottleneck_{i}") for i in range(getattr(head, "branches", 1))]
    return randomize(segmentation_model(keras.Model(image, {"c5": c5}), head, num_classes=3, bottleneck=bottleneck))


@pytest.fixture(scope="module")
def models():
    return {name: model_with(name) for name in ARGUMENTS}


def assert_close(actual, expected):
    """Equal to the rounding of a few float32 sums, in terms of the largest number."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ARGUMENTS)
def test_features_are_those_of_the_model(models, name):
    features = probes.features_of(models[name], IMAGE)
    output = models[name](IMAGE[np.newaxis], training=False)["features"]
    expected = sum(output) if isinstance(output, tuple | list) else output
    assert_close(features, expected[0])


def test_the_rates_of_ksac_add_up_to_its_pyramid(models):
    maps = probes.branch_features(models["ksac"], IMAGE)
    assert list(maps) == [1, 2]
    # the head's features are image level, 1×1 and pyramid, 4 channels each
    assert_close(sum(maps.values()), probes.features_of(models["ksac"], IMAGE)[..., 8:])


def test_the_rates_of_aspp_are_its_features(models):
    maps = probes.branch_features(models["deeplabv3"], IMAGE)
    together = np.concatenate(list(maps.values()), axis=-1)
    assert_close(together, probes.features_of(models["deeplabv3"], IMAGE)[..., 8:])


@pytest.mark.parametrize("name", ["axial", "caa"])
def test_attention_maps_and_gates_give_the_features_again(models, name):
    """Eq. 3.5 and 3.11 in NumPy on the maps that were read out."""
    model = models[name]
    maps = probes.axial_attention(model, IMAGE)
    assert_close(maps["rows"].sum(-1), 1)
    assert_close(maps["columns"].sum(-1), 1)
    head = probes.head_of(model)
    reduced = head.reduction(probes.pyramid_of(model, IMAGE)["c5"], training=False)
    value = head.attention.value(reduced, training=False)[0].numpy()
    result = np.einsum("jim,mjc->ijc", maps["columns"], value)
    if name == "caa":
        result = result * maps["row_gates"][:, np.newaxis]
    result = np.einsum("ijn,inc->ijc", maps["rows"], result)
    if name == "caa":
        result = result * maps["column_gates"][np.newaxis]
    assert_close(probes.features_of(model, IMAGE), result)


def test_what_a_pixel_attends_to_is_a_distribution_that_gives_its_feature(models):
    maps = probes.axial_attention(models["axial"], IMAGE)
    head = probes.head_of(models["axial"])
    reduced = head.reduction(probes.pyramid_of(models["axial"], IMAGE)["c5"], training=False)
    value = head.attention.value(reduced, training=False)[0].numpy()
    weights = probes.attended_by(maps, (1, 2))
    assert_close(weights.sum(), 1)
    expected = probes.features_of(models["axial"], IMAGE)[1, 2]
    assert_close(np.einsum("mn,mnc->c", weights, value), expected)


def test_dual_attention_tells_its_branches(models):
    assert set(probes.conflicting_outputs(models["danet"])) == {"position_logits", "channel_logits"}
    assert set(probes.conflicting_outputs(models["sequential"])) == {"channel_logits"}


@pytest.mark.parametrize(
    ("probe", "name", "message"),
    [
        (probes.branch_features, "axial", "AxialHead has no atrous rates"),
        (probes.axial_attention, "ksac", "KSACHead has no axial attention"),
    ],
)
def test_a_model_without_what_is_asked_for_is_refused(models, probe, name, message):
    with pytest.raises(ValueError, match=message):
        probe(models[name], IMAGE)


def test_aspp_without_atrous_convolutions_has_no_features_of_them():
    with pytest.raises(ValueError, match="DeepLabV3Head has no atrous rates; only KSAC and DeepLabV3 can have them"):
        probes.branch_features(model_with("deeplabv3", atrous_rates=()), IMAGE)


def test_other_refusals_name_what_there_is(models):
    with pytest.raises(ValueError, match="KSACHead has no logits of single attentions"):
        probes.conflicting_outputs(models["ksac"])
    with pytest.raises(ValueError, match="no output 'heat'; it has features, logits"):
        probes.probe_outputs(models["ksac"], ["heat"])
    with pytest.raises(ValueError, match="has no layer called 'head'"):
        probes.head_of(build_pointwise_model())
