"""The file of a tiled image's probabilities: its bytes, and a disk that is full before it is whole."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from deeplab_ksac.prediction.files import ProbabilitiesFile
from tests.places import ROOT

ON_A_SMALL_DISK = 'mount -t tmpfs -o size=64k none "$1" && shift && exec "$@"'
FILL = """
import sys
from pathlib import Path
import numpy as np
from deeplab_ksac.prediction.files import ProbabilitiesFile
file = ProbabilitiesFile(Path(sys.argv[1], "a.npz"), (200, 100), ("sky", "road"))
try:
    for top in range(0, 200, 10):
        file.put(slice(top, top + 10), slice(0, 100), np.ones([10, 100, 2], np.float32))
except OSError as error:
    print(error)
finally:
    file.discard()
print(list(Path(sys.argv[1]).iterdir()))
"""


def test_the_tiles_become_the_array_that_numpy_would_write(tmp_path):
    probabilities = np.random.default_rng(0).random((7, 9, 3), np.float32)
    file = ProbabilitiesFile(tmp_path / "a.npz", (7, 9), ("sky", "road", "café"))
    for rows in (slice(0, 4), slice(4, 7)):
        for columns in (slice(0, 5), slice(5, 9)):
            file.put(rows, columns, probabilities[rows, columns])
    assert not (tmp_path / "a.npz").exists()
    file.finish()
    file.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    with np.load(tmp_path / "a.npz") as read:
        assert read["probabilities"].dtype == np.float16 and read["probabilities"].flags.c_contiguous
        np.testing.assert_array_equal(read["probabilities"], probabilities.astype(np.float16))
        assert read["class_names"].tolist() == ["sky", "road", "café"]


def test_a_full_disk_is_an_error_and_does_not_end_the_process(tmp_path):
    own_mounts = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*own_mounts, "true"], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    command = [*own_mounts, "sh", "-c", ON_A_SMALL_DISK, "sh", str(tmp_path), sys.executable, "-c", FILL, str(tmp_path)]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended
    assert ended.stdout == f"{tmp_path}/a.npz cannot be written: No space left on device\n[]\n"
