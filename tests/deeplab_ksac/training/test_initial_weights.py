"""A run that begins with published weights: what it is built as, and how it goes on without the file."""

import dataclasses
import pathlib
import types

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import TIMM
from deeplab_ksac.experiment import part
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training import initial_weights
from deeplab_ksac.training.initial_weights import with_backbone_weights
from deeplab_ksac.training.loop import train
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info
from tests.deeplab_ksac.training import tiny

BLOCKS = {"blocks": (1, 1, 1, 1), "width": 4}
TO_TIMM = {"conv": (3, 2, 0, 1), "same": None}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(path, tensors) of a file as timm would publish it for the tiny ResNet."""
    rng = np.random.default_rng(0)
    tensors = {"fc.weight": np.ones([10, 128], "float32")}
    for name, variable, layout in TIMM["resnet50"].tensors(BACKBONES["resnet50"](32, stem="7x7", **BLOCKS)):
        value = variable.numpy().transpose(TO_TIMM[layout]) if TO_TIMM[layout] else variable.numpy()
        tensors[name] = rng.uniform(0.5, 1.5, value.shape).astype("float32") / np.float32(
            np.sqrt(np.prod(value.shape[1:]))
        )
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    safetensors.numpy.save_file(tensors, path)
    return str(path), tensors


def experiment(**backbone):
    still = dataclasses.replace(tiny.STAGE, optimizer=part("sgd", learning_rate=1e-30), steps=1)
    model = dataclasses.replace(tiny.MODEL, backbone=part("resnet50", **BLOCKS, **backbone))
    return dataclasses.replace(tiny.EXPERIMENT, model=model, stages=(still,), checkpoint_every=1)


def test_the_weight_set_fills_what_the_experiment_leaves_open(published, tmp_path):
    path, _ = published
    open_ones = with_backbone_weights(experiment(), path, tmp_path).model.backbone.args
    brought = {"preprocessing": "torch", "variant": "v1.5", "stem": "7x7", "epsilon": 1e-5}
    assert open_ones == {**BLOCKS, **brought}
    named = with_backbone_weights(experiment(variant="slim"), path, tmp_path).model.backbone.args
    assert named == {**BLOCKS, **brought, "variant": "slim"}
    assert with_backbone_weights(experiment(), None, tmp_path) == experiment()


def test_a_run_starts_from_the_weights_and_goes_on_without_their_file(published, tmp_path):
    path, tensors = published
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(pathlib.Path(path).read_bytes())
    place = {
        "data_dir": tiny.convert(tmp_path),
        "workdir": tmp_path / "run",
        "strategy": tf.distribute.get_strategy(),
        "backbone_weights": str(copy),
    }
    train(experiment(), evaluates=False, **place)
    copy.unlink()
    loaded = load_model(tmp_path / "run")
    assert loaded.experiment.model.backbone.args["preprocessing"] == "torch"
    assert with_backbone_weights(experiment(), str(copy), tmp_path / "run") == loaded.experiment
    with pytest.raises(FileNotFoundError, match=r"no weight file at .*model\.safetensors"):
        with_backbone_weights(experiment(), str(copy), tmp_path / "another")
    kernel = loaded.model.get_layer("stage4_block1_2_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel, tensors["layer3.0.conv2.weight"].transpose(2, 3, 1, 0))


def test_two_origins_are_refused(published, tmp_path):
    place = {"data_dir": tmp_path, "workdir": tmp_path, "strategy": tf.distribute.get_strategy()}
    with pytest.raises(ValueError, match="from init_from or from backbone_weights, not from both"):
        train(experiment(), init_from=tmp_path, backbone_weights=published[0], **place)


def dense(*sizes):
    return keras.Sequential([keras.layers.Dense(size, input_shape=(2,), name=f"dense{size}") for size in sizes])


def test_what_is_taken_from_another_run_is_said_and_most_of_it_new_is_refused(tmp_path, monkeypatch):
    models = []
    for seed in (1, 2):
        keras.backend.clear_session()  # layers are told apart by their names
        models.append(build_fake_model(5, seed=seed))
    source, target = models
    loaded = types.SimpleNamespace(model=source, info=fake_info(5), step=7)
    monkeypatch.setattr(initial_weights, "load_model", lambda workdir: loaded)
    told, names = [], fake_info(5).class_names
    kernel = target.get_layer("classifier").get_weights()[0]
    start = {"init_from": "runs/a", "tell": told.append}
    initial_weights.initialize(target, None, tmp_path, 0, **start, class_names=("other", *names[1:]))
    np.testing.assert_array_equal(target.get_layer("classifier").get_weights()[0], kernel)
    initial_weights.initialize(target, None, tmp_path, 0, **start, class_names=names)
    expected = source.get_layer("classifier").get_weights()[0]
    np.testing.assert_array_equal(target.get_layer("classifier").get_weights()[0], expected)
    assert "have the weights of runs/a, step 7; new are classifier" in told[0] and "new are" not in told[1]
    loaded.model = dense(2, 5)
    with pytest.raises(ValueError, match=r"only 1 of 3 layers have the weights of runs/a.*--allow_new_layers"):
        initial_weights.initialize(dense(2, 3, 4), None, tmp_path, 0, **start, class_names=names)
    initial_weights.initialize(dense(2, 3, 4), None, tmp_path, 0, **start, class_names=names, allow_new_layers=True)
    assert told[2].startswith("1 of 3 layers") and told[2].endswith("new are dense3, dense4")
