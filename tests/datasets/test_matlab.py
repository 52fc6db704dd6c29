"""Matrices in MATLAB files."""

import numpy as np
import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.matlab import read_matlab
from tests.datasets import samples
from tests.datasets.sources import layouts

VALUES = np.arange(6, dtype=np.uint16).reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    layouts.save_matlab(tmp_path / "x.mat", S=VALUES, G={"inner": {"map": VALUES}, "name": "n"}, names=["a", "b"])
    return tmp_path / "x.mat"


def test_variables_and_fields_of_structs_are_read(path):
    np.testing.assert_array_equal(read_matlab(path, "S"), VALUES)
    np.testing.assert_array_equal(read_matlab(path, "G", "inner", "map"), VALUES)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("T",), r"x.mat holds no matrix T \(variables: S, G, names\)"),
        (("S", "map"), "no matrix S.map"),
        (("G", "map"), "no matrix G.map"),
        (("G", "name"), "no matrix G.name"),
        (("names",), "no matrix names"),
    ],
)
def test_what_is_not_there_is_named(path, names, words):
    with pytest.raises(DatasetError, match=words):
        read_matlab(path, *names)


def test_version_7_3_is_refused_in_words(tmp_path):
    layouts.save_matlab_73(tmp_path / "new.mat", S=VALUES)
    with pytest.raises(DatasetError, match=r"new.mat is a MATLAB file of version 7.3 \(HDF5\)"):
        read_matlab(tmp_path / "new.mat", "S")


def test_real_files_of_both_versions():
    folder = samples.sample("raw_samples/coco_stuff10k/extra_annotator")
    for path in sorted(folder.glob("things/*.mat")):
        assert set(np.unique(read_matlab(path, "labelMapThings"))) <= {0, 1}
    (new,) = folder.glob("output/mask-*.mat")
    with pytest.raises(DatasetError, match=r"of version 7.3"):
        read_matlab(new, "S")


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file and so on", b"\x89PNG"])
def test_broken_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x.mat cannot be read as a MATLAB file") as caught:
        read_matlab(tmp_path / "x.mat", "S")
    assert "\n" not in str(caught.value)
