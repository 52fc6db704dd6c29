"""Where the records of a split begin is written down once, and nobody looks through them again."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets import stored
from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.datasets.stored import StoredSplit, record_offsets
from tests import fakes

SPLIT = Split("folder", "train")
INDEX = "folder-train.index.json"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    place = tmp_path_factory.mktemp("converted")
    write_records("folder", fakes.write_folder(place / "raw", {"train": 9}), place / "data", shards=3, processes=1)
    return place / "data"


@pytest.fixture
def data(converted, tmp_path):
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def scanned(monkeypatch):
    """The files whose records are looked through."""
    found, real = [], record_offsets
    monkeypatch.setattr(stored, "record_offsets", lambda file: found.append(file.name) or real(file))
    return found


def index_of(data):
    return data / "folder" / "1.0.0" / INDEX


def shard(data, number=0):
    return StoredSplit.find(SPLIT, data).files[number]


def read(data):
    """Records in an order that goes back and forth between the files, as (position, bytes)."""
    numbers = tf.data.Dataset.from_tensor_slices(np.array([4, 0, 8, 2, 5, 5, 1, 7, 3, 6, 0]))
    return list(RecordTable(("folder/train",), data).read(numbers.enumerate()).as_numpy_iterator())


def test_conversion_writes_where_each_record_begins(data, scanned):
    found = StoredSplit.find(SPLIT, data).offsets()
    assert not scanned
    for offsets, file in zip(found, StoredSplit.find(SPLIT, data).files, strict=True):
        np.testing.assert_array_equal(offsets, record_offsets(file))
        assert offsets.dtype == np.int64
    assert [len(offsets) for offsets in found] == [3, 3, 3]


def test_a_set_without_an_index_gets_the_same_one_and_the_same_order(data, scanned):
    before, content = read(data), index_of(data).read_bytes()
    assert not scanned
    index_of(data).unlink()
    assert read(data) == before and len(scanned) == 3
    assert index_of(data).read_bytes() == content
    assert read(data) == before and len(scanned) == 3


def cut_the_index(data):
    index_of(data).write_bytes(index_of(data).read_bytes()[:-9])


def change_a_length(data):
    """Moves a byte from one record to the next, so that sizes agree and the checksum alone tells."""
    content = index_of(data).read_text()
    first, second = content.partition('"lengths": [')[2].partition("]")[0].split(", ")[:2]
    changed = f"{int(first) + 1}, {int(second) - 1}"
    index_of(data).write_text(content.replace(f"{first}, {second}", changed, 1))


def index_of_another_version(data):
    index_of(data).write_text(index_of(data).read_text().replace('"format": 1', '"format": 2'))


def index_of_other_files(data):
    other = index_of(data).read_text().replace("-of-00003", "-of-00004")
    index_of(data).write_text(other)


def a_file_of_another_size(data):
    """The last shard loses its last record, which the metadata still counts."""
    path = shard(data, 2)
    path.write_bytes(path.read_bytes()[: int(record_offsets(path)[-1])])


@pytest.mark.parametrize("harm", (cut_the_index, change_a_length, index_of_another_version, index_of_other_files))
def test_an_index_that_does_not_fit_does_not_count(harm, data, scanned, caplog):
    before, content = read(data), index_of(data).read_bytes()
    harm(data)
    assert read(data) == before and len(scanned) == 3
    assert "the records are looked through" in caplog.text
    assert index_of(data).read_bytes() == content  # written anew


def test_an_index_of_files_of_another_size_does_not_count(data, scanned):
    a_file_of_another_size(data)
    with pytest.raises(ValueError, match="has 8 records in its files and 9 in its metadata"):
        RecordTable(("folder/train",), data)
    assert len(scanned) == 3


def test_a_folder_that_takes_no_index_is_looked_through_every_time(data, scanned):
    before = read(data)
    index_of(data).unlink()
    index_of(data).mkdir()
    assert read(data) == before and len(scanned) == 3
    assert read(data) == before and len(scanned) == 6
