"""How a command ends: a result, or one line for what went wrong."""

import sys
from collections.abc import Callable

from absl import logging

from deeplab_ksac.errors import in_one_line, is_input_error


def interrupted(name: str) -> int:
    """Says that a command was interrupted; its exit status."""
    print(f"{name}: interrupted", file=sys.stderr)
    return 130


def exit_status(work: Callable[[], int], *, name: str) -> int:
    """What `work()` returns, for `sys.exit`; an error of the input becomes one line on stderr and 1.

    Errors of the input are OSError, ValueError and TensorFlow's own; anything else is a fault of the program and
    keeps its traceback, and so do these with `--verbosity=1`.
    """
    if logging.get_verbosity() == logging.INFO:  # what absl sets where --verbosity is not given
        logging.set_verbosity(logging.WARNING)  # TensorFlow's notes on what it writes would bury the results
    try:
        return work()
    except KeyboardInterrupt:
        return interrupted(name)
    except Exception as error:
        if not is_input_error(error):
            raise
        logging.debug("traceback", exc_info=True)
        print(f"{name}: {in_one_line(error)}", file=sys.stderr)
        return 1


def restart_status(work: Callable[[], int], *, name: str) -> int:
    """What `work()` returns, which trains; a training that was asked to stop becomes one line and `RESTART_STATUS`."""
    from deeplab_ksac.training.interruption import RESTART_STATUS, RestartError

    try:
        return work()
    except RestartError as stopped:
        print(f"{name}: {in_one_line(stopped)}; the same command continues", file=sys.stderr)
        return RESTART_STATUS
