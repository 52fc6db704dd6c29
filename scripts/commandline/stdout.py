"""What a command prints, where its reader has gone (`| head`) or the disk is full."""

import contextlib
import os
import sys
from collections.abc import Callable


def written(work: Callable[[], object], *, name: str) -> int | str | None:
    """Calls what prints, and makes sure that all of it was written; for `sys.exit`.

    Args:
        work: may end by SystemExit, whose status is kept. Its errors of the system are those of stdout alone.
        name: the command's name, which stands in front of an error.

    Returns:
        The status, or one line for what went wrong. That nobody reads any more is no error.
    """
    status = 0
    try:
        try:
            work()
        except SystemExit as ended:
            status = ended.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # else Python complains of it once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return f"{name}: stdout cannot be written: {error.strerror or error}"
    return status
