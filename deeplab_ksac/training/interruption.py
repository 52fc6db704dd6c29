"""Stopping so that training can go on: requests to stop, which all workers follow at one step, and lost workers."""

import signal
import threading

import tensorflow as tf

RESTART_STATUS = 42
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what kill, Kubernetes and the clouds send, and what Slurm can be told to
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class RestartError(Exception):
    """Training stopped before its end and goes on when it is started again; scripts exit with `RESTART_STATUS`."""


class StopRequest:
    """Notes, while it is entered, that this process was asked to stop, instead of ending it.

    Args:
        agree: on several workers, whether any of them was asked: a function bool -> bool that all of them call at the
            same steps (`agreement`); None for one worker.
    """

    def __init__(self, agree=None):
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

    def agreed(self):
        """Whether to stop here."""
        return bool(self.noted) if self._agree is None else self._agree(bool(self.noted))

    def update(self, *_, **__):
        """For work that reports its progress, on one worker.

        Raises:
            RestartError: this process was asked to stop.
        """
        if self.noted and self._agree is None:
            raise RestartError(f"{self.noted} came")


def agreement(strategy, workers):
    """A function bool -> bool for `StopRequest`: whether any worker has True. None for one worker."""
    if workers == 1:
        return None

    @tf.function
    def total(flag):
        flags = strategy.experimental_distribute_values_from_function(lambda context: flag)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, flags, axis=None)

    return lambda flag: bool(total(tf.constant(float(flag))) > 0)
