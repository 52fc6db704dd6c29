"""What happens to files and to other workers while a run goes on, in one line each."""

import contextlib
import re

import tensorflow as tf

from deeplab_ksac.training.interruption import LOST_WORKER, RestartError

OF_FILES = (
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.DataLossError,
    tf.errors.ResourceExhaustedError,
)


@contextlib.contextmanager
def failures_in_words(workers, newest):
    """Inside, lost data and a full disk are an `OSError` of one line, and a lost worker is a `RestartError`.

    Args:
        workers: number of the run's worker processes.
        newest: () -> the step of the newest whole checkpoint, or None.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if workers > 1 and isinstance(error, LOST_WORKER):
            raise RestartError(f"another worker was lost ({reason(error)}); start all of them again") from error
        if not isinstance(error, OF_FILES):
            raise
        last = newest()
        kept = "there is no checkpoint yet" if last is None else f"the checkpoint of step {last} is as it was"
        raise OSError(f"training stopped: {reason(error)}; {kept}") from error


def reason(error):
    """The line of a TensorFlow error's message that says what happened."""
    lines = re.sub(r"\{\{.*?\}\}", "", error.message).splitlines()
    about_the_graph = ("Graph execution error:", "Detected at node", "Node: ")
    said = [line.strip() for line in lines if line.strip() and not line.startswith(("\t", "  File", *about_the_graph))]
    return said[-1] if said else type(error).__name__
