"""How the scripts end: whole files or none, and one line for what went wrong."""

import os
import sys
from pathlib import Path

from absl import logging


def write_atomically(path, data):
    """Writes bytes to `path` by way of a temporary sibling: the file is there whole, or as it was."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def exit_status(work, *, name):
    """What `work()` returns, for `sys.exit`; an error of the input becomes one line on stderr and 1.

    Errors of the input are OSError, ValueError and TensorFlow's own; anything else is a fault of the program and
    keeps its traceback, and so do these with `--verbosity=1`.
    """
    if logging.get_verbosity() == logging.INFO:  # what absl sets where --verbosity is not given
        logging.set_verbosity(logging.WARNING)  # TensorFlow's notes on what it writes would bury the results
    try:
        return work()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not is_input_error(error):
            raise
        logging.debug("traceback", exc_info=True)
        print(f"{name}: {in_one_line(error)}", file=sys.stderr)
        return 1


def is_input_error(error):
    """Whether the message of an exception says what its reader can mend."""
    tensorflow = sys.modules.get("tensorflow")  # not imported for this: it takes seconds
    of_tensorflow = tensorflow is not None and isinstance(error, tensorflow.errors.OpError)
    return of_tensorflow or isinstance(error, (OSError, ValueError))


def in_one_line(error):
    """The message of an exception without its line breaks; its type where there is no message."""
    return " ".join(str(error).split()) or type(error).__name__
