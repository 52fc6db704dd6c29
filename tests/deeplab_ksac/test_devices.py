"""What a process computes on, and why that is no GPU."""

import importlib.metadata
import re

import pytest
import tensorflow as tf

from deeplab_ksac import devices

WITHOUT_GPU = not tf.config.list_physical_devices("GPU")
pytestmark = pytest.mark.skipif(not WITHOUT_GPU, reason="is of machines without a GPU")


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """The file of an NVIDIA driver."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    path = tmp_path / "version"
    path.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\n")
    return path


def test_a_cpu_is_described_with_its_cores():
    assert re.fullmatch(r"CPU with \d+ cores", devices.describe())


def test_without_a_driver_nothing_is_missing(tmp_path):
    assert devices.why_no_gpu(tmp_path / "version") is None


@pytest.mark.parametrize("hidden", ("", "-1"))
def test_a_gpu_that_is_hidden_is_not_missed(hidden, driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert devices.why_no_gpu(driver) is None


def test_a_driver_without_cudas_libraries_is_told_with_the_command_that_installs_them(driver):
    said = devices.why_no_gpu(driver)
    assert said.startswith("this machine has an NVIDIA GPU that is not used: ") and "\n" not in said
    missing = devices.missing_libraries()
    if not tf.test.is_built_with_cuda():
        assert "is built without CUDA" in said
    elif missing:
        assert f"not installed, {missing[0]} and {len(missing) - 1} more" in said
        assert said.endswith(f"; pip install 'tensorflow[and-cuda]=={tf.__version__}'")
    else:
        assert "the driver may be older" in said


def test_the_libraries_are_those_of_tensorflows_extra():
    extra = [text for text in importlib.metadata.requires("tensorflow") if "and-cuda" in text]
    assert len(extra) >= 10 and set(devices.missing_libraries()) <= {text.split()[0].split("<")[0] for text in extra}


def test_memory_growth_that_comes_after_a_computation_is_refused_in_words(monkeypatch):
    (cpu,) = tf.config.list_physical_devices("CPU")

    def as_of_a_gpu(gpu, enabled):  # which TensorFlow refuses for the same reason
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 7)

    tf.ones([]).numpy()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", as_of_a_gpu)
    with pytest.raises(ValueError, match="memory_growth comes first, and TensorFlow has already computed something"):
        devices.set_memory_growth(True)
