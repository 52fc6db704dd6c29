"""Whole files or none."""

import os
import subprocess
import sys

import pytest

from deeplab_ksac.whole_files import (
    append,
    check_file_writable,
    check_writable,
    partial_path,
    recover_replaced,
    remove_partial,
    replaced_path,
    write_whole,
)


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


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(ended.stdout)


def of_process(path, number):
    return path.with_name(path.name.replace(f".{os.getpid()}.", f".{number}."))


@pytest.mark.parametrize("make", [os.mkdir, lambda path: path.touch()])
def test_what_a_killed_replacement_has_set_aside_is_put_back_or_removed(make, tmp_path, dead):
    model = tmp_path / "model.x"
    ours, left = replaced_path(model), of_process(replaced_path(model), dead)
    another_host = left.with_name(f".model.x.elsewhere.{dead}.replaced")
    another_name = of_process(replaced_path(tmp_path / "other"), dead)
    for path in (ours, left, another_host, another_name):
        make(path)
    recover_replaced(model)  # killed between its two steps
    assert sorted(tmp_path.iterdir()) == sorted([model, ours, another_host, another_name])
    model.rename(left)
    make(model)
    recover_replaced(model)  # killed after both
    assert sorted(tmp_path.iterdir()) == sorted([model, ours, another_host, another_name])
    recover_replaced(tmp_path / "not" / "there")


def test_what_dead_processes_of_this_host_have_left_is_removed_and_nothing_else(tmp_path):
    ours = partial_path(tmp_path / "a.json")
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = ours.with_name(ours.name.replace(f".{os.getpid()}.", f".{int(dead.stdout)}."))
    another = ours.with_name(f".a.json.another-host.{int(dead.stdout)}.partial")
    stays = [ours, another, tmp_path / ".b.partial", tmp_path / "a.json"]
    for path in (left, *stays):
        path.touch()
    remove_partial(tmp_path, ["other.json"])
    assert left.exists()
    remove_partial(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(stays)
    remove_partial(tmp_path, ["a.json"], alone=True)
    assert sorted(tmp_path.iterdir()) == sorted(stays[2:])


def test_a_long_name_is_written_too(tmp_path):
    write_whole(tmp_path / ("a" * 250), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a" * 250]


@pytest.mark.parametrize(
    ("name", "words"),
    [("folder", "folder is a folder, and is to be a file"), ("a" * 256, "cannot be written: File na")],
)
def test_a_file_that_cannot_be_written_is_said_before_any_work(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    check_file_writable(tmp_path / "new")
    check_file_writable(tmp_path / "not" / "there")
    with pytest.raises(OSError, match=words):
        check_file_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_cannot_be_written_to_is_said_before_any_work(tmp_path):
    check_writable(tmp_path / "not" / "there")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is no folder"):
        check_writable(tmp_path / "file" / "x")
    tmp_path.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(OSError, match="cannot be written"):
            check_writable(tmp_path)
    finally:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o755)


def test_a_line_after_one_that_was_cut_off_is_a_line_of_its_own(tmp_path):
    path = tmp_path / "starts.jsonl"
    for text in ("1\n", "2\n"):
        append(path, text)
    with path.open("a") as stream:
        stream.write('{"a full disk cut th')
    append(path, "3\n")
    append(path, "4\n")
    assert path.read_text().splitlines() == ["1", "2", '{"a full disk cut th', "3", "4"]
