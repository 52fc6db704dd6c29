"""Files of counts: what is read is what was written, and damage is one line that names the file."""

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.runs import counts_files
from tests.scripts.damage import FEW, damaged

MEASURES = {"a": ["overall", "spread"], "b": ["overall"]}


def study_counts():
    rng = np.random.default_rng(0)
    overall = {variant: rng.integers(0, 300, [2, 5, 1, 3, 3]) for variant in "ab"}
    return {"a": {"overall": overall["a"], "spread": rng.normal(size=[2, 5, 1, 3, 4])}, "b": {"overall": overall["b"]}}


def test_the_counts_of_a_study_are_read_as_they_were_written(tmp_path):
    path, counts = tmp_path / "study_counts.npz", study_counts()
    counts_files.write_study_counts(path, [3, 7], counts, ["overall"])
    seeds, found = counts_files.read_study_counts(path, MEASURES)
    assert seeds == [3, 7] and found["a"]["overall"].dtype == np.uint16
    for variant in "ab":
        np.testing.assert_array_equal(found[variant]["overall"], counts[variant]["overall"])
    np.testing.assert_array_equal(found["a"]["spread"], counts["a"]["spread"].sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "values", ([0.0, 255.0], [0, 256], [2.0**40], [2.0**60], [0.5, 1.0], [-1, 3], [], [np.float64(2**53 - 1)])
)
def test_narrowed_numbers_are_the_same(values):
    narrowed = counts_files.narrowed(np.array(values))
    np.testing.assert_array_equal(narrowed, np.array(values))
    assert narrowed.dtype.itemsize <= 8


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a/overall": None}, "there is no 'a/overall'"),
        ({"seeds": np.array([0.5])}, "its seeds are no list of integers"),
        ({"a/overall": np.zeros([1, 5, 1, 3, 3])}, r"'a/overall' is not of shape \[2, pictures, scales, …\]"),
        ({"a/overall": np.zeros([2, 4, 1, 3, 3])}, "'overall' is not of one shape in all networks"),
        ({"a/overall": np.full([2, 5, 1, 3, 3], np.nan)}, "finite numbers are expected"),
    ],
)
def test_counts_of_another_study_are_refused(tmp_path, arrays, message):
    path = tmp_path / "study_counts.npz"
    given = {f"{variant}/{name}": each for variant, names in study_counts().items() for name, each in names.items()}
    given = {"seeds": np.arange(2), **given, **arrays}
    np.savez(path, **{name: each for name, each in given.items() if each is not None})
    with pytest.raises(ValueError, match=message) as error:
        counts_files.read_study_counts(path, MEASURES)
    assert str(error.value).startswith(f"{path} does not hold the counts of this study")


@settings(FEW, max_examples=60)
@given(st.data())
def test_damaged_counts_are_one_line_that_names_them(tmp_path, data):
    path, study = tmp_path / "picture_counts.npz", tmp_path / "study_counts.npz"
    counts_files.write_counts(path, {"overall": np.arange(18).reshape(2, 1, 3, 3)})
    counts_files.write_study_counts(study, [3, 7], study_counts(), ["overall"])
    for each, read in (
        (path, counts_files.read_counts),
        (study, lambda path: counts_files.read_study_counts(path, MEASURES)[1]["a"]),
    ):
        each.write_bytes(data.draw(damaged(each.read_bytes())))
        try:
            counts = read(each)
        except ValueError as error:
            assert str(each) in str(error) and "\n" not in str(error)
        else:
            assert all(each.ndim >= 3 for each in counts.values())  # a change of what nobody reads, or of a name


def test_other_files_of_arrays_and_archives_are_no_counts(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros([2, 5, 1, 3, 3]))
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("seeds", "0, 1")
    for path in tmp_path.iterdir():
        for read in (counts_files.read_counts, lambda path: counts_files.read_study_counts(path, MEASURES)):
            with pytest.raises(ValueError, match=r"an npz of arrays is expected") as error:
                read(path)
            assert str(path) in str(error.value) and "\n" not in str(error.value)
