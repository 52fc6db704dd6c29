"""What a command says of the devices that it computes on."""

import types

import pytest
import tensorflow as tf

from deeplab_ksac import devices
from deeplab_ksac.scripts.commandline import devices as devices_of_commands


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="is of machines without a GPU")
def test_a_command_warns_in_one_line_and_says_what_it_computes_on(tmp_path, monkeypatch, capsys):
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.why_no_gpu, "__defaults__", (driver,))
    assert devices_of_commands.prepare(types.SimpleNamespace(memory_growth=True)) == devices.describe()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING: this machine has an NVIDIA GPU that is not used: ")
