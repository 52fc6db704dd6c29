"""The table of a reference's errors, from a reference of our own making."""

import numpy as np
import pytest
import safetensors.numpy
from absl import flags
from absl.testing import flagsaver

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.backbones.pretrained import TIMM
from deeplab_ksac.scripts import backbones
from tests.deeplab_ksac.backbones.seeded import seeded_image

TINY = {"blocks": (1, 1, 1, 1), "width": 4, "multi_grid": (1,)}
TO_TIMM = {"conv": (3, 2, 0, 1), "same": None}


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch):
    """One network is known: a tiny ResNet, published under the name "tiny"."""
    monkeypatch.setattr(backbones, "NETWORKS", {"tiny": ("resnet50", TINY)})
    if "reference" not in flags.FLAGS:
        backbones.define_flags()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["backbones"])
    yield
    backbones.built.cache_clear()


@pytest.fixture
def reference(tmp_path):
    """A folder with the weights and features of the tiny ResNet."""
    model = BACKBONES["resnet50"](16, stem="7x7", variant="v1.5", epsilon=1e-5, preprocessing="none", **TINY)
    tensors = {
        name: np.ascontiguousarray(variable.numpy().transpose(TO_TIMM[layout]) if TO_TIMM[layout] else variable.numpy())
        for name, variable, layout in TIMM["resnet50"].tensors(model)
    }
    safetensors.numpy.save_file(tensors, tmp_path / "tiny_os16.safetensors")
    image = seeded_image(33)
    features = {stage: value.numpy() for stage, value in model(image).items()}
    np.savez(tmp_path / "tiny_os16.npz", image=image, **features)
    return tmp_path, image, features


def test_features_that_agree_are_a_table_and_status_0(reference, capsys):
    with flagsaver.flagsaver(reference=str(reference[0])):
        assert backbones.run(flags.FLAGS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["network", "output", "stride", "image", "c2", "c3", "c4", "c5"]
    assert lines[1].split()[:3] == ["tiny", "16", "33×33"] and len(lines[1].split()) == 7


def test_features_that_do_not_agree_are_status_1_and_one_line(reference, capsys):
    folder, image, features = reference
    wrong = {**features, "c4": features["c4"] + 0.01 * np.abs(features["c4"]).max()}
    np.savez(folder / "tiny_os16.npz", image=image, **wrong)
    with flagsaver.flagsaver(reference=str(folder)):
        assert backbones.run(flags.FLAGS) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("backbones: errors of up to 9.9e-03") or "1.0e-02" in captured.err
    assert captured.out.splitlines()[1].split()[5] in ("9.9e-03", "1.0e-02")


@pytest.mark.parametrize("name, message", [("other_os8", "other_os8.safetensors is no reference"), (None, "holds no")])
def test_folders_without_known_references_are_refused(name, message, tmp_path):
    if name:
        safetensors.numpy.save_file({"a": np.zeros(1)}, tmp_path / f"{name}.safetensors")
    with flagsaver.flagsaver(reference=str(tmp_path)), pytest.raises((OSError, ValueError), match=message):
        backbones.run(flags.FLAGS)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with (
        flagsaver.flagsaver(backbones=["mobilenet"]),
        pytest.raises(ValueError, match="no backbone is named 'mobilenet'"),
    ):
        backbones.run(flags.FLAGS)


def test_resnet50_has_its_published_size():
    parameters, giga = backbones.size_of("resnet50", 16)
    # the published 25,557,032 less the classifier, and three 3×3 convolutions in the place of one 7×7
    stem = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128) - 49 * 3 * 64 - 2 * 64
    assert parameters == 23_508_032 + stem + (128 - 64) * (64 + 256)
    # 38.177 is FCN's of Table 2.1 counted natively: with two 1×1 convolutions on 33×33 pixels, and half a multiply-add
    # for each pixel of the stem's pooling windows
    head, pooling = (2048 * 256 + 256 * 21) * 33**2, 9 * 129**2 * 128 / 2
    assert giga == pytest.approx(38.177 - (head + pooling) / 2**30, abs=1.5e-3)


def test_the_thesis_figures_are_of_rows_of_the_table():
    assert set(backbones.THESIS) <= {(name, stride) for name in BACKBONES for stride in (8, 16)}
