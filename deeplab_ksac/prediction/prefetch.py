"""Images in and pictures out while the model computes: reading ahead, batches of one size, writing behind."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any

THREADS = 2
AHEAD = 8


def read_ahead(
    items: Iterable, read: Callable[[Any], Any], *, threads: int = THREADS, ahead: int = AHEAD
) -> Iterator[tuple[Any, concurrent.futures.Future]]:
    """Yields (item, future of read(item)) in order, while up to `ahead` further ones are read on threads."""
    pool, waiting = concurrent.futures.ThreadPoolExecutor(threads, "read"), collections.deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def batches_by_size(
    frames: Iterable, *, size_of: Callable[[Any], tuple[int, int]], batch_size: int, max_pixels: int
) -> Iterator[list]:
    """Yields lists of frames of one (height, width), in the order in which they become full.

    A batch has at most `batch_size` frames and, unless it is a single one, `max_pixels` pixels. At most four times
    `batch_size` frames wait for others of their size; then those that have waited longest go as they are.

    Args:
        frames: an iterable.
        size_of: frame -> (height, width).
        batch_size, max_pixels: at least 1.
    """
    waiting = {}
    for frame in frames:
        height, width = size = size_of(frame)
        group = waiting.setdefault(size, [])
        group.append(frame)
        if len(group) >= min(batch_size, max(max_pixels // (height * width), 1)):
            yield waiting.pop(size)
        elif sum(map(len, waiting.values())) >= 4 * batch_size:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


class WriteBehind:
    """Runs jobs on threads; at most `ahead` wait, then the caller does. The first job that fails ends it all.

    with WriteBehind() as writer:
        writer.submit(write, path, picture)
    """

    def __init__(self, *, threads: int = THREADS, ahead: int = AHEAD):
        self._pool, self._jobs, self._ahead = concurrent.futures.ThreadPoolExecutor(threads, "write"), [], ahead

    def submit(self, job: Callable, *arguments: Any) -> None:
        """Runs job(*arguments) soon; raises what an earlier job raised."""
        if len(self._jobs) >= self._ahead:
            self._jobs.pop(0).result()
        self._jobs.append(self._pool.submit(job, *arguments))

    def finish(self) -> None:
        """Waits until all jobs are done; raises what the first that failed raised."""
        while self._jobs:
            self._jobs.pop(0).result()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self.finish()
