"""The table of a reference's errors, from a reference of our own making."""

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.backbones import BACKBONES, comparison
from deeplab_ksac.backbones.pretrained import TIMM
from deeplab_ksac.scripts import backbones
from tests.deeplab_ksac.backbones.seeded import seeded_image
from tests.scripts.parsing import flags_of

TINY = {"blocks": (1, 1, 1, 1), "width": 4, "multi_grid": (1,)}
TO_TIMM = {"conv": (3, 2, 0, 1), "same": None}


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch):
    """One network is known: a tiny ResNet, published under the name "tiny"."""
    monkeypatch.setattr(comparison, "NETWORKS", {"tiny": ("resnet50", TINY)})
    yield
    comparison.built.cache_clear()


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
    assert backbones.run(flags_of(backbones, reference=reference[0])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["network", "output", "stride", "image", "c2", "c3", "c4", "c5"]
    assert lines[1].split()[:3] == ["tiny", "16", "33×33"] and len(lines[1].split()) == 7


def test_features_that_do_not_agree_are_status_1_and_one_line(reference, capsys):
    folder, image, features = reference
    wrong = {**features, "c4": features["c4"] + 0.01 * np.abs(features["c4"]).max()}
    np.savez(folder / "tiny_os16.npz", image=image, **wrong)
    assert backbones.run(flags_of(backbones, reference=folder)) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("backbones: errors of up to 9.9e-03") or "1.0e-02" in captured.err
    assert captured.out.splitlines()[1].split()[5] in ("9.9e-03", "1.0e-02")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_do_not_agree(reference, value, capsys):
    folder, image, features = reference
    np.savez(folder / "tiny_os16.npz", image=image, **{**features, "c4": np.full_like(features["c4"], value)})
    assert backbones.run(flags_of(backbones, reference=folder)) == 1
    assert "above 1e-04" in capsys.readouterr().err


def test_a_reference_without_features_is_named(reference):
    folder, image, _ = reference
    np.savez(folder / "tiny_os16.npz", image=image)
    with pytest.raises(ValueError, match=r"tiny_os16\.npz holds no features, none of c2, c3, c4, c5"):
        backbones.run(flags_of(backbones, reference=folder))


def test_a_folder_without_references_of_the_chosen_backbones_is_no_agreement(reference, capsys):
    with pytest.raises(FileNotFoundError, match="holds no references of xception65; there are resnet50"):
        backbones.run(flags_of(backbones, reference=reference[0], backbones=["xception65"]))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name, message", [("other_os8", "other_os8.safetensors is no reference"), (None, "holds no")])
def test_folders_without_known_references_are_refused(name, message, tmp_path):
    if name:
        safetensors.numpy.save_file({"a": np.zeros(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises((OSError, ValueError), match=message):
        backbones.run(flags_of(backbones, reference=tmp_path))


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no backbone is named 'mobilenet'"):
        backbones.run(flags_of(backbones, backbones=["mobilenet"]))


def test_sizes_are_a_table_with_the_thesis_models(capsys):
    assert backbones.run(flags_of(backbones, backbones=["resnet50"])) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.endswith("in the thesis, with its head")
    assert [row.split()[:2] for row in rows] == [["resnet50", "8"], ["resnet50", "16"]]
    assert rows[1].endswith("39.94 ResNet-50 FCN, Table 2.1")
