"""The check of what was written, in a process of its own."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.experiment import Views
from deeplab_ksac.export import export_onnx, export_saved_model, onnx_file, saved_model
from deeplab_ksac.export.checking import check_classes, check_written, tolerance
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images


def test_what_equals_the_model_passes_and_what_does_not_is_told_from_it(tmp_path):
    model = build_fake_model()
    path = export_onnx(model, tmp_path / "model.onnx", info=fake_info())  # checks
    kernel = model.weights[0]
    kernel.assign(kernel * 1.01)
    with pytest.raises(ValueError, match=r"differs from the model by .*, more than the allowed .*; it was removed"):
        check_written(path, model, kind="onnx")


def test_a_saved_model_passes_by_all_its_signatures(tmp_path):
    assert export_saved_model(
        build_fake_model(), tmp_path / "served", info=fake_info(), views=Views(flip=True)
    ).is_dir()


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_cannot_be_run_is_removed_and_one_line(tmp_path, monkeypatch, content):
    def broken(path, model, **options):
        path.write_bytes(content)
        check_written(path, model, **options)

    monkeypatch.setattr(onnx_file, "check_written", broken)
    with pytest.raises(ValueError, match="cannot be run in a separate process and was removed: ") as raised:
        export_onnx(build_fake_model(), tmp_path / "model.onnx", info=fake_info())
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())


def test_a_mismatch_leaves_what_was_there(tmp_path, monkeypatch):
    path = export_saved_model(build_fake_model(), tmp_path / "served", info=fake_info(), check=False)
    before = (path / "saved_model.pb").read_bytes()

    def differ(*args, **options):
        raise ValueError("it differs")

    monkeypatch.setattr(saved_model, "check_written", differ)
    with pytest.raises(ValueError, match="it differs"):
        export_saved_model(build_fake_model(seed=2), path, info=fake_info(), overwrite=True)
    assert (path / "saved_model.pb").read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("write", "kind", "name"), [(export_saved_model, "saved_model", "1"), (export_onnx, "onnx", "a.onnx")]
)
def test_packages_may_lie_where_a_process_by_itself_would_not_look(write, kind, name, tmp_path, monkeypatch):
    """As those of `pip install --user` or PYTHONPATH: here those of an environment, for the Python it was made of."""
    model = build_fake_model()
    path = write(model, tmp_path / name, info=fake_info(), check=False)
    monkeypatch.setattr(sys, "executable", getattr(sys, "_base_executable", sys.executable))
    found, allowed = check_written(path, model, kind=kind)
    assert found <= allowed


def test_a_model_that_gives_no_numbers_has_no_file_that_gives_the_same(tmp_path):
    model = build_fake_model()
    pictures = [random_images(1, 17, 23)[0].astype("uint8")]
    path = export_onnx(model, tmp_path / "a.onnx", info=fake_info(), check=False)
    classifier = model.get_layer("classifier")
    classifier.set_weights([np.full_like(value, np.nan) for value in classifier.get_weights()])
    with pytest.raises(ValueError, match="the model's logits are not finite"):
        check_classes(path, model, kind="onnx", pictures=pictures)


def test_the_tolerance_is_the_literal_formula():
    model = build_fake_model()  # two kernels
    logits = tf.fill([1, 4, 4, 5], 3.0).numpy()
    np.testing.assert_allclose(tolerance(model, logits), 0.5 * 2**0.5 * 16 * 2**-24 * 3)
    np.testing.assert_allclose(tolerance(model, logits / 300, "dynamic_range"), 0.5 * 2**0.5 * 4 * 2**-8)
