"""Work in forked processes."""

import os
import signal
import time

import pytest

from deeplab_ksac.datasets.processes import run_tasks


def square(task, tick):
    tick()
    return task * task


@pytest.mark.parametrize("processes", [1, 2, 5, 40])
def test_every_task_is_done_once_and_ticks_arrive(processes):
    ticks = []
    found = list(run_tasks(square, list(range(20)), processes=processes, tick=lambda: ticks.append(1)))
    assert sorted(found) == [(i, i * i) for i in range(20)]
    assert len(ticks) == 20


def test_there_may_be_nothing_to_do():
    assert list(run_tasks(square, [], processes=3)) == []


def test_the_processes_are_others_and_as_many_as_asked_for():
    def where(task, tick):
        time.sleep(0.02)
        return os.getpid()

    found = {process for _, process in run_tasks(where, list(range(12)), processes=3)}
    assert len(found) == 3 and os.getpid() not in found
    assert {process for _, process in run_tasks(where, [1, 2], processes=1)} == {os.getpid()}


def test_what_a_task_raises_is_raised_here_with_its_trace():
    def fail(task, tick):
        raise ValueError(f"task {task} cannot be done")

    with pytest.raises(ValueError, match=r"task [01] cannot be done") as caught:
        list(run_tasks(fail, [0, 1], processes=2))
    assert "in fail" in str(caught.value.__cause__)


def test_an_exception_that_cannot_travel_arrives_in_words():
    class LocalError(Exception):
        pass

    def fail(task, tick):
        raise LocalError("of this test")

    with pytest.raises(RuntimeError, match="of this test"):
        list(run_tasks(fail, [0, 1], processes=2))


def test_a_killed_process_is_noticed():
    def die(task, tick):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(OSError, match=r"was killed \(exit code -9\); did the memory run out"):
        list(run_tasks(die, [0, 1], processes=2))


def test_processes_end_with_the_one_that_started_them(tmp_path):
    def note(task, tick):
        (tmp_path / str(os.getpid())).touch()
        while True:
            time.sleep(0.01)
            tick()

    first = os.fork()
    if not first:
        try:
            list(run_tasks(note, [0, 1, 2], processes=3))
        finally:
            os._exit(1)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    wait_until(lambda: not any(is_alive(int(path.name)) for path in tmp_path.iterdir()))


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(process):
    """Whether a process runs; one that has ended and waits for its new parent does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
