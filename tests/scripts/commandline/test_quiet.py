"""A command's stderr holds no notes of TensorFlow's start, and all of them where it cannot start."""

import os
import subprocess
import sys

import pytest

from tests.places import ROOT

START = "from deeplab_ksac.scripts.commandline.quiet import keep_tensorflow_quiet; keep_tensorflow_quiet();"
NOTE = "import os; os.write(2, b'a note');"


def run(code, *places):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*places, ROOT)))}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def tensorflow_of(folder, code):
    (folder / "tensorflow.py").write_text(code)
    return folder


def test_tensorflow_starts_without_a_note():
    result = run(f"{START} import tensorflow as tf; print(int(tf.add(1, 2)))")
    assert (result.stdout, result.stderr, result.returncode) == ("3\n", "", 0)


def test_what_is_written_after_the_start_is_seen(tmp_path):
    result = run(f"{START} import tensorflow; {NOTE}", tensorflow_of(tmp_path, NOTE + "started = True"))
    assert (result.stderr, result.returncode) == ("a note", 0)


@pytest.mark.parametrize("failure", ("raise ImportError('no such library')", "raise SystemExit(3)"))
def test_a_failed_start_shows_its_notes(tmp_path, failure):
    result = run(f"{START} import tensorflow", tensorflow_of(tmp_path, NOTE + failure))
    assert result.stderr.startswith("a note") and result.returncode in (1, 3)


def test_a_process_without_stderr_starts_too():
    result = run(f"import os; os.close(2); {START} import tensorflow as tf; print(int(tf.add(1, 2)))")
    assert (result.stdout, result.returncode) == ("3\n", 0)
