"""Work on all cores in forked processes that end when the process that started them does, however that ends."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import TypeVar

CAN_FORK = "fork" in multiprocessing.get_all_start_methods()
Task, Result = TypeVar("Task"), TypeVar("Result")


def number_of_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task, Callable[[], None]], Result],
    tasks: Sequence[Task],
    *,
    processes: int,
    tick: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Yields (task, work(task, tick)) for each task, in the order in which they end.

    The processes are forked: `work` and the tasks may be anything and are not copied, which a large index of
    annotations in memory needs; but `work` must not run operations of TensorFlow, whose threads a fork does not take
    along. With one process, or where there is no fork, all runs in this one.

    Args:
        work: called as `work(task, tick)`; its result is sent back and should be small.
        tasks: what is done, one by one.
        processes: at most how many.
        tick: called here whenever a task calls its `tick()`.

    Raises:
        What `work` raises; OSError if a process was killed.
    """
    tick = tick or (lambda: None)
    processes = min(processes, len(tasks))
    if processes < 2 or not CAN_FORK:
        for task in tasks:
            yield task, work(task, tick)
        return
    with _forked(work, tasks, processes) as workers:
        waiting = list(range(len(tasks)))[::-1]
        for pipe in workers:
            pipe.send(waiting.pop())
        while workers:
            for pipe in connection.wait(list(workers)):
                index, result = _receive(pipe, workers[pipe])
                if index is None:
                    tick()
                    continue
                if waiting:
                    pipe.send(waiting.pop())
                else:
                    workers.pop(pipe).join(0)
                    pipe.close()
                yield tasks[index], result


@contextlib.contextmanager
def _forked(work, tasks, processes):
    """{this end of the pipe: process} of as many workers; those that are left at the end are killed."""
    context, started, workers = multiprocessing.get_context("fork"), [], {}
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            others = [*workers, ours]  # a worker that held them open would keep the others from noticing our end
            worker = context.Process(target=_serve, args=(theirs, others, work, tasks), daemon=True)
            worker.start()
            theirs.close()
            workers[ours] = worker
            started.append(worker)
        yield workers
    finally:
        for pipe in workers:
            pipe.close()
        for worker in started:
            if workers:
                worker.kill()
            worker.join()


def _serve(pipe, others, work, tasks):
    """Runs in a worker: takes numbers of tasks from the pipe until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    for other in others:
        other.close()
    try:
        while True:
            index = pipe.recv()
            try:
                result = work(tasks[index], lambda: pipe.send((None, None)))
            except Exception as error:
                pipe.send((index, _Failure.of(error)))
            else:
                pipe.send((index, result))
    except (EOFError, ConnectionError):
        os._exit(0)


def _receive(pipe, worker):
    """(number of the task or None for a tick, result); raises what the worker's task raised."""
    try:
        index, result = pipe.recv()
    except (EOFError, ConnectionError):
        worker.join()
        raise OSError(
            f"a process of this conversion was killed (exit code {worker.exitcode}); did the memory run out?"
        ) from None
    if isinstance(result, _Failure):
        raise result.error from RuntimeError(result.trace)
    return index, result


class _Failure:
    """An exception on its way from a worker, with its trace as text."""

    def __init__(self, error, trace):
        self.error, self.trace = error, trace

    @classmethod
    def of(cls, error: Exception) -> "_Failure":
        """The failure of an exception, or of its text where it cannot travel."""
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(trace)
        return cls(error, trace)
