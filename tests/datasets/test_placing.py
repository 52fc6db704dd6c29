"""One writer at a time."""

import os
import signal
import time

import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.placing import only_one


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
    words = rf"tiny is being written by another conversion \(process {first}\); wait"
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
