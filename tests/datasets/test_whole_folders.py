"""One writer at a time."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.whole_folders import only_one, unfinished


def forked(work):
    """The number of a process that runs `work` and then ends without a trace."""
    process = os.fork()
    if not process:
        try:
            work()
        finally:
            os._exit(0)
    return process


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path):
    target = tmp_path / "tiny" / "1.0.0"

    def hold():
        with only_one(target):
            (tmp_path / "held").touch()
            time.sleep(60)

    first = forked(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    holder = rf"process {first} on host {socket.gethostname()} since \d{{4}}-.*"
    words = rf"tiny is being written by another conversion \({holder}\); wait"
    with pytest.raises(DatasetError, match=words), only_one(target, patience=0.1):
        pytest.fail("both hold it")
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    with only_one(target, patience=0):
        assert list(target.parent.iterdir())
    assert not target.parent.exists()


def test_of_many_that_come_and_go_never_two_hold_it(tmp_path):
    target, inside = tmp_path / "tiny" / "1.0.0", tmp_path / "inside"

    def come_and_go():
        for _ in range(30):
            with only_one(target, patience=30):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where somebody is inside
                inside.unlink()
        os._exit(7)

    writers = [forked(come_and_go) for _ in range(3)]
    assert [os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers] == [7, 7, 7]


def test_the_same_process_is_refused_a_second_time_as_well(tmp_path):
    target = tmp_path / "tiny" / "1.0.0"
    words = rf"is being written by another conversion \(process {os.getpid()} on host {socket.gethostname()} since"
    with only_one(target), pytest.raises(DatasetError, match=words), only_one(target, patience=0.1):
        pytest.fail("both hold it")


def test_what_is_unfinished_is_taken_over_under_a_name_that_its_first_writer_does_not_know(tmp_path):
    target = tmp_path / "1.0.0"
    first = unfinished(target)
    (first / "done").touch()
    with open(first / "half", "w", encoding="ascii") as half:
        second = unfinished(target)
        half.write("of the first writer")
    assert (second / "done").exists() and list(tmp_path.iterdir()) == [second]
    with pytest.raises(FileNotFoundError):
        (first / "half").rename(first / "whole")
    with pytest.raises(FileNotFoundError):
        (first / "more").touch()


def test_it_is_imported_where_there_is_no_fcntl():
    code = "import sys; sys.modules['fcntl'] = None; from deeplab_ksac.datasets import whole_folders, processes"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
