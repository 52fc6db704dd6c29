"""Weights of classes go to the class of the same name, in every classifier; all else that fits is taken as it is."""

import dataclasses

import numpy as np
import pytest

from deeplab_ksac.experiment import part
from deeplab_ksac.model import build_model
from deeplab_ksac.training.class_transfer import class_axes, plan_transfer
from tests.deeplab_ksac.fake_model import random_images
from tests.deeplab_ksac.models.examples import FCN, NAMES, SPECS, trained_model
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.random_layers import randomize

WITH_CLASSIFIERS = ("ksac", "ocr", "danet", "sequential")
ROUNDING = 1e-5  # of float32 sums, whose terms are the same in another order
CLASSIFIERS = {  # the names of the classifiers of `SPECS`, by their layer
    "fcn": {"classifier": ("classifier",)},
    "ocr": {"classifier": ("classifier",), "head": ("coarse_classifier",), "auxiliary": ("classifier",)},
    "danet": {"classifier": ("classifier",), "head": ("position_classifier", "channel_classifier")},
    "sequential": {"classifier": ("classifier",), "head": ("channel_classifier",)},
}


@pytest.fixture(scope="module", autouse=True)
def backbone():
    with tiny_backbone_known():
        yield


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_axis_of_the_classes_is_the_last_of_every_classifier_and_nothing_elses(name):
    model = build_model(SPECS[name], 4)  # as many as there are channels
    axes = class_axes(model, lambda number: build_model(SPECS[name], number))
    for layer in model.layers:
        for weight, axis in zip(layer.weights, axes.get(layer.name, ()), strict=True):
            owner = weight.name.split("/")[-2]
            expected = len(weight.shape) - 1 if owner in CLASSIFIERS[name].get(layer.name, ()) else None
            assert axis == expected, weight.name


@pytest.mark.parametrize("name", WITH_CLASSIFIERS)
def test_classes_in_another_order_are_the_same_model_in_that_order(name):
    """OCR's regions too: its coarse classifier says which pixels belong to which class."""
    source, order = trained_model(SPECS[name]), (2, 0, 1)
    target = randomize(build_model(SPECS[name], 3), seed=9)
    transfer = plan_transfer(source, target, [NAMES[place] for place in order])
    assert not transfer.new and not transfer.new_classes and set(transfer.classes) == set(NAMES)
    transfer.carry_out()
    image = random_images(1, 33, 40)
    before, after = source.model(image), target(image)
    for key in before:
        expected = np.take(before[key], order, axis=-1) if key.endswith("logits") else before[key]
        np.testing.assert_allclose(after[key], expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("names", [("snail", "moss", "sky"), ("moss", "snail"), ("a", "road", "b", "c", "sky", "d")])
@pytest.mark.parametrize("name", ("ocr", "danet"))
def test_a_class_that_is_new_keeps_its_own_weights(name, names):
    source, target = trained_model(SPECS[name]), randomize(build_model(SPECS[name], len(names)), seed=9)
    own = {layer.name: layer.get_weights() for layer in target.layers}
    transfer = plan_transfer(source, target, names)
    transfer.carry_out()
    assert transfer.classes == tuple(k for k in names if k in NAMES) and not transfer.new
    assert transfer.new_classes == tuple(k for k in names if k not in NAMES)
    for layer in target.layers:
        theirs = source.model.get_layer(layer.name).weights if layer.weights else ()
        for weight, their, kept in zip(layer.weights, theirs, own[layer.name], strict=True):
            if weight.name.split("/")[-2] not in CLASSIFIERS[name].get(layer.name, ()):
                np.testing.assert_array_equal(weight, their)
                continue
            for place, known in enumerate(names):
                expected = their.numpy()[..., NAMES.index(known)] if known in NAMES else kept[..., place]
                np.testing.assert_array_equal(weight.numpy()[..., place], expected)


def test_without_a_class_in_common_what_is_a_classifier_alone_is_new():
    source, target = trained_model(SPECS["ocr"]), randomize(build_model(SPECS["ocr"], 3), seed=9)
    coarse = target.get_layer("head").coarse_classifier.kernel.numpy()
    transfer = plan_transfer(source, target, ("a", "b", "c"))
    transfer.carry_out()
    assert transfer.new == ("classifier",) and not transfer.classes and transfer.new_classes == ("a", "b", "c")
    np.testing.assert_array_equal(target.get_layer("head").coarse_classifier.kernel, coarse)
    expected = source.model.get_layer("head").reduction.conv.kernel
    np.testing.assert_array_equal(target.get_layer("head").reduction.conv.kernel, expected)


def test_a_layer_of_other_shapes_is_new_and_nothing_is_changed_before_it_is_asked_for():
    source = trained_model(dataclasses.replace(FCN, head=part("fcn", filters=5)))
    target = randomize(build_model(FCN, 3), seed=9)
    own = target.get_weights()
    transfer = plan_transfer(source, target, NAMES)
    assert set(transfer.new) == {"head", "bottleneck_0"} and transfer.count == len(transfer.taken) + 2
    for value, expected in zip(target.get_weights(), own, strict=True):
        np.testing.assert_array_equal(value, expected)
