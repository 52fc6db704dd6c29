"""Following checkpoints that come, are not there yet, or cannot be read yet."""

import time

import pytest

from deeplab_ksac.runs import following as watch


def followed(finds, loads=None, **options):
    """What is yielded while `find` gives these in turn, the last one for ever."""
    finds, told = list(finds), []

    def find():
        found = finds.pop(0) if len(finds) > 1 else finds[0]
        if isinstance(found, Exception):
            raise found
        return found

    settings = {"timeout": 0.2, "interval": 0.001, **options}
    return list(watch.follow(find, loads or (lambda found: found), tell=told.append, **settings)), told


def test_each_new_checkpoint_comes_once():
    assert followed(["a", "a", "b", "b", "d"])[0] == ["a", "b", "d"]


def test_none_yet_is_waited_for_and_said_once():
    missing = FileNotFoundError("no checkpoint\nyet")
    found, told = followed([missing, missing, "a"])
    assert found == ["a"] and told == ["waiting: no checkpoint yet"]


def test_one_that_cannot_be_read_yet_is_tried_again():
    failures = [ValueError("torn"), AssertionError("half")]

    def load(found):
        if failures:
            raise failures.pop(0)
        return found

    found, told = followed(["a"], load)
    assert found == ["a"] and told == ["waiting: torn", "waiting: half"]


def test_it_ends_with_the_last_one_also_where_that_is_known_later_than_it_comes():
    asked = iter([False, False, True])
    start = time.monotonic()
    assert followed(["a"], timeout=60, ended=lambda: next(asked))[0] == ["a"]
    assert followed([FileNotFoundError("none"), "a", "b"], timeout=60, ended=lambda: True)[0] == ["a"]
    assert time.monotonic() - start < 30


def test_it_ends_when_nothing_has_come_for_the_timeout():
    start = time.monotonic()
    assert followed([FileNotFoundError("none")], timeout=0.1, interval=60)[0] == []
    assert 0.1 <= time.monotonic() - start < 5


def test_time_spent_between_two_checkpoints_is_no_waiting():
    numbers = iter(range(3))
    seen = []
    for found in watch.follow(lambda: next(numbers, 2), lambda found: found, timeout=0.1, interval=0.001):
        seen.append(found)
        time.sleep(0.15)
    assert seen == [0, 1, 2]


def test_a_fault_of_the_program_ends_it():
    with pytest.raises(ZeroDivisionError):
        followed([ZeroDivisionError()])
