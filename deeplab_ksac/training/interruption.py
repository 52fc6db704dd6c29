"""What stops training before its end: a request, which all workers follow at one step; lost workers; lost files."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import tensorflow as tf

from deeplab_ksac.errors import in_one_line

RESTART_STATUS = 42
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what kill, Kubernetes and the clouds send, and what Slurm can be told to
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
OF_FILES = (
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.DataLossError,
    tf.errors.ResourceExhaustedError,
)


class RestartError(Exception):
    """Training stopped before its end and continues when it is started again; commands exit with `RESTART_STATUS`."""


class StopRequest:
    """Notes, while it is entered, that this process was asked to stop, instead of ending it.

    Args:
        agree: on several workers, whether any of them was asked: a function bool -> bool that all of them call at the
            same steps (`agreement`); None for one worker.
    """

    def __init__(self, agree: Callable[[bool], bool] | None = None):
        self.noted, self._agree, self._previous = None, agree, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # no other may
            self._previous = {each: signal.signal(each, self._note) for each in SIGNALS}
        return self

    def __exit__(self, *exception):
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _note(self, number, _):
        self.noted = signal.Signals(number).name

    def agreed(self) -> bool:
        """Whether to stop here."""
        return bool(self.noted) if self._agree is None else self._agree(bool(self.noted))

    def update(self, *_, **__) -> None:
        """For work that reports its progress, on one worker.

        Raises:
            RestartError: this process was asked to stop.
        """
        if self.noted and self._agree is None:
            raise RestartError(f"{self.noted} came")


def agreement(strategy: tf.distribute.Strategy, workers: int) -> Callable[[bool], bool] | None:
    """A function bool -> bool for `StopRequest`: whether any worker has True. None for one worker."""
    if workers == 1:
        return None

    @tf.function
    def total(flag):
        flags = strategy.experimental_distribute_values_from_function(lambda context: flag)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, flags, axis=None)

    return lambda flag: bool(total(tf.constant(float(flag))) > 0)


@contextlib.contextmanager
def failures_in_one_line(
    workers: int, newest: Callable[[], int | None], place: Callable[[tf.errors.OpError], str] = lambda error: ""
) -> Iterator[None]:
    """Inside, lost data and a full disk are an `OSError` of one line, and a lost worker is a `RestartError`.

    Args:
        workers: number of the run's worker processes.
        newest: () -> the step of the newest complete checkpoint, or None.
        place: error -> the file that it is about, as a text in front of the reason, where TensorFlow does not say it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if workers > 1 and isinstance(error, LOST_WORKER):
            raise RestartError(f"another worker was lost ({in_one_line(error)}); start all of them again") from error
        if not isinstance(error, OF_FILES):
            raise
        last = newest()
        kept = "there is no checkpoint yet" if last is None else f"the checkpoint of step {last} is unchanged"
        raise OSError(f"training stopped: {place(error)}{in_one_line(error)}; {kept}") from error
