"""A run that begins with published weights or those of another model, and goes on without their file."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import TIMM
from deeplab_ksac.experiment import part
from deeplab_ksac.model import build_model
from deeplab_ksac.models.files import WEIGHTS_FILE
from deeplab_ksac.models.folder import save_model
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training.initial_weights import initialize, with_backbone_weights
from deeplab_ksac.training.loop import train
from tests.deeplab_ksac.models.examples import FCN, NAMES, trained_model
from tests.deeplab_ksac.tiny_backbone import tiny_backbone, tiny_backbone_known
from tests.deeplab_ksac.training import tiny
from tests.random_layers import randomize

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


def test_a_weight_set_of_the_hub_is_that_of_its_folder(published, tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "ab" * 20
    snapshot = tmp_path / "cache" / "models--timm--resnet50s" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    shutil.copy(published[0], snapshot)
    of_folder = with_backbone_weights(experiment(), str(snapshot), tmp_path)
    address = f"hf://timm/resnet50s@{commit}"
    assert with_backbone_weights(experiment(), address, tmp_path) == of_folder
    backbone = of_folder.model.backbone
    model = BACKBONES["resnet50"](32, **backbone.args)
    initialize(model, backbone, tmp_path, 0, backbone_weights=address)
    kernel = model.get_layer("stage4_block1_2_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel, published[1]["layer3.0.conv2.weight"].transpose(2, 3, 1, 0))


def test_weights_of_another_network_begin_no_run(published, tmp_path):
    tensors = {name: value for name, value in published[1].items() if name != "layer3.0.conv2.weight"}
    safetensors.numpy.save_file({**tensors, "layer9.weight": np.ones(1, "float32")}, tmp_path / "other.safetensors")
    place = {"data_dir": tiny.convert(tmp_path), "strategy": tf.distribute.get_strategy()}
    weights = str(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"missing: layer3\.0\.conv2\.weight.*: layer9\.weight") as refused:
        train(experiment(), workdir=tmp_path / "run", backbone_weights=weights, **place)
    assert weights in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "experiment.json").exists()


def test_two_origins_are_refused(published, tmp_path):
    place = {"data_dir": tmp_path, "workdir": tmp_path, "strategy": tf.distribute.get_strategy()}
    with pytest.raises(ValueError, match="from init_from or from backbone_weights, not from both"):
        train(experiment(), init_from=tmp_path, backbone_weights=published[0], **place)


@pytest.fixture
def source(tmp_path):
    """A saved model."""
    with tiny_backbone_known():
        yield save_model(trained_model(), tmp_path / "saved")


def begun(source, names, spec=FCN, **options):
    """A model that takes what it can from another; what was told."""
    told, model = [], randomize(build_model(spec, len(names)), seed=9)
    initialize(model, spec.backbone, "runs/none", 0, source, tell=told.append, class_names=names, **options)
    return model, told


def test_what_is_taken_from_another_model_is_said_in_one_line(source):
    model, told = begun(str(source), NAMES)
    assert told == [f"8 of 8 layers have the weights of {source}, step 7"]
    for value, expected in zip(model.get_weights(), trained_model().model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    _, told = begun(str(source), ("other", *NAMES[1:]))
    assert told == [
        f"8 of 8 layers have the weights of {source}, step 7; classes with weights: road, snail; new classes: other"
    ]
    _, told = begun(source, ("a", "b"))
    assert told == [
        f"7 of 8 layers have the weights of {source}, step 7; new are classifier; no class in common, so the "
        "classifiers are new"
    ]


def test_settings_that_the_weights_were_not_trained_with_are_said(source):
    other = dataclasses.replace(FCN, backbone=part("tiny", norm={}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", lambda output_stride, norm: tiny_backbone(output_stride))
        _, (told,) = begun(source, NAMES, other)
    assert told.endswith("step 7; they were trained with other settings: backbone.args.norm: None -> {}")


def test_a_setting_that_is_given_as_it_is_by_default_is_no_other(source):
    def build(output_stride, norm, epsilon=1e-3, sides=(3, 5)):
        return tiny_backbone(output_stride)

    same = dataclasses.replace(FCN, backbone=part("tiny", epsilon=1e-3, sides=[3, 5]))
    other = dataclasses.replace(FCN, backbone=part("tiny", epsilon=1e-5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", build)
        _, (told,) = begun(source, NAMES, same)
        assert told.endswith("step 7")
        _, (told,) = begun(source, NAMES, other)
        assert told.endswith("trained with other settings: backbone.args.epsilon: 0.001 -> 1e-05")


def test_mostly_new_is_refused_unless_it_is_allowed_and_changes_nothing(source):
    other = dataclasses.replace(tiny.MODEL, decoder=part("low_level", filters=4, low_level_filters=2))
    model = randomize(build_model(other, 3), seed=9)
    own = model.get_weights()
    with pytest.raises(
        ValueError, match=rf"^only 1 of \d+ layers have the weights of {source}, .*--allow_new_layers\)$"
    ):
        initialize(model, other.backbone, "runs/none", 0, source, class_names=NAMES)
    for value, expected in zip(model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(value, expected)
    _, told = begun(source, NAMES, other, allow_new_layers=True)
    assert told[0].startswith("1 of ") and "; new are " in told[0]


def test_a_model_with_nothing_in_common_is_refused_even_then(source):
    alone = keras.Sequential([keras.layers.Dense(3, input_shape=(2,), name="alone")])
    with pytest.raises(ValueError, match=rf"{source} is of another model: no layer"):
        initialize(alone, None, "runs/none", 0, source, allow_new_layers=True)


@pytest.mark.parametrize("problem", ("none", "damaged", "another"))
def test_a_source_that_cannot_be_taken_leaves_no_run(problem, source, tmp_path):
    (source / WEIGHTS_FILE).write_bytes(b"" if problem == "damaged" else (source / WEIGHTS_FILE).read_bytes())
    start = {"none": "nowhere", "damaged": source, "another": source}[problem]
    message = {"none": "nowhere is neither", "damaged": "checksum", "another": "is of another model"}[problem]
    plan = experiment() if problem == "another" else tiny.with_steps(tiny.EXPERIMENT, 1)
    place = {"data_dir": tiny.convert(tmp_path), "workdir": tmp_path / "run", "strategy": tf.distribute.get_strategy()}
    with pytest.raises((OSError, ValueError), match=message):
        train(plan, init_from=start, **place)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_without_the_model_that_it_began_with(source, tmp_path):
    told = []
    place = {"data_dir": tiny.convert(tmp_path), "workdir": tmp_path / "run", "strategy": tf.distribute.get_strategy()}
    start = {"init_from": str(source), "tell": told.append, "evaluates": False}
    train(tiny.with_steps(tiny.EXPERIMENT, 1), **place, **start)
    shutil.rmtree(source)
    train(tiny.with_steps(tiny.EXPERIMENT, 1), **place, **start)
    assert len(told) == 1 and "no class in common" in told[0]
    assert load_model(tmp_path / "run").provenance["starts"] == 2
