"""Reading ahead, batches by size, writing behind: order, bounds, errors."""

import threading

import pytest

from deeplab_ksac.prediction.prefetch import WriteBehind, batches_by_size, read_ahead


def test_what_is_read_ahead_comes_in_order_with_its_errors():
    def read(number):
        if number == 3:
            raise OSError("three")
        return 10 * number

    found = [(item, future.exception() or future.result()) for item, future in read_ahead(range(6), read)]
    assert [item for item, _ in found] == list(range(6))
    assert [result for _, result in found if not isinstance(result, OSError)] == [0, 10, 20, 40, 50]
    assert str(found[3][1]) == "three"


def test_no_more_is_read_ahead_than_allowed():
    started, lock = [], threading.Lock()

    def read(number):
        with lock:
            started.append(number)

    stream = read_ahead(range(100), read, threads=2, ahead=3)
    for taken in range(1, 20):
        next(stream)[1].result()
        assert len(started) <= taken + 3
    stream.close()
    assert len(started) <= 19 + 3


def test_batches_have_one_size_and_nothing_is_lost():
    frames = [(number, (4, 5 + number % 3)) for number in range(20)]
    batches = list(batches_by_size(frames, size_of=lambda frame: frame[1], batch_size=3, max_pixels=10**6))
    assert sorted(frame for batch in batches for frame in batch) == frames
    for batch in batches:
        assert len({size for _, size in batch}) == 1 and len(batch) <= 3
        assert batch == sorted(batch)


def test_a_batch_has_no_more_pixels_than_allowed_unless_it_is_one_image():
    def counts(side):
        frames = [(side, side)] * 6
        return [len(b) for b in batches_by_size(frames, size_of=lambda frame: frame, batch_size=4, max_pixels=200)]

    assert counts(10) == [2, 2, 2]
    assert counts(30) == [1] * 6
    assert counts(7) == [4, 2]


def test_frames_without_company_wait_for_a_while_only():
    waiting, most = 0, 0

    def frames():
        nonlocal waiting, most
        for number in range(50):
            waiting += 1
            most = max(most, waiting)
            yield (1, number + 1)

    for batch in batches_by_size(frames(), size_of=lambda frame: frame, batch_size=2, max_pixels=10**6):
        waiting -= len(batch)
    assert most == 8 and waiting == 0


def test_all_jobs_are_done_at_the_end_and_few_wait():
    done, release = [], threading.Event()
    with WriteBehind(threads=2, ahead=3) as writer:
        for number in range(3):
            writer.submit(lambda number: (release.wait(10), done.append(number)), number)
        assert done == []
        release.set()
        for number in range(3, 9):
            writer.submit(done.append, number)
    assert sorted(done) == list(range(9))


def test_the_first_job_that_fails_ends_it():
    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), WriteBehind(ahead=2) as writer:
        for _ in range(10):
            writer.submit(fail)
    with pytest.raises(OSError, match="disk full"), WriteBehind() as writer:
        writer.submit(fail)
