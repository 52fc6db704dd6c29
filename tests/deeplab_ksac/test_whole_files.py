"""Whole files or none."""

import pytest

from deeplab_ksac.whole_files import write_whole


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path):
    write_whole(tmp_path / "a.json", b"one")
    write_whole(str(tmp_path / "a.json"), b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"two")]


def test_text_is_written_as_utf_8(tmp_path):
    write_whole(tmp_path / "a.md", "33×33")
    assert (tmp_path / "a.md").read_bytes() == "33×33".encode()


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    (tmp_path / "a.json").write_bytes(b"before")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "a.json", 5)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"before")]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"no/a\.json cannot be written: No such file or directory"):
        write_whole(tmp_path / "no" / "a.json", b"one")
