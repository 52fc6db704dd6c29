"""Following a run: its checkpoints as they appear."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from deeplab_ksac.errors import in_one_line, is_input_error


def follow(
    find: Callable[[], Any],
    load: Callable[[Any], Any],
    *,
    timeout: float,
    interval: float,
    tell: Callable[[str], None] = lambda line: None,
    ended: Callable[[], bool] = lambda: False,
) -> Iterator:
    """Yields what `load` makes of each checkpoint that appears, until the last, or none has for `timeout` seconds.

    What cannot be found or read is tried again: the run may not have begun, or be in the middle of writing, or have
    removed the checkpoint meanwhile. The time that the caller takes between two does not count as waiting.

    Args:
        find: () -> the newest checkpoint, comparable with ==; an OSError or ValueError means that there is none yet.
        load: checkpoint -> what is yielded; an error of the input or an AssertionError means "not yet".
        timeout, interval: in seconds.
        tell: called once per reason, with a line that says what is being waited for.
        ended: () -> whether the last one that was yielded is the last of all; asked after it, and while none comes.
    """
    seen, told, since = None, None, time.monotonic()
    while True:
        reason = None
        try:
            found = find()
            if found != seen:
                loaded = load(found)
                seen = found
                yield loaded
                told, since = None, time.monotonic()
        except Exception as error:
            if not (is_input_error(error) or isinstance(error, AssertionError)):
                raise
            reason = in_one_line(error)
        if seen is not None and ended():
            return
        if reason is not None and reason != told:
            tell(f"waiting: {reason}")
            told = reason
        if time.monotonic() - since >= timeout:
            return
        time.sleep(min(interval, max(timeout - (time.monotonic() - since), 0)))
