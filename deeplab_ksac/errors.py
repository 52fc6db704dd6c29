"""Errors that a user can fix, kept apart from bugs, and shown in one line."""

import sys


def is_input_error(error: BaseException) -> bool:
    """Whether an exception is an error of the input: OSError, ValueError, or one of TensorFlow's own."""
    tensorflow = sys.modules.get("tensorflow")  # not imported for this: it takes seconds
    of_tensorflow = tensorflow is not None and isinstance(error, tensorflow.errors.OpError)
    return of_tensorflow or isinstance(error, (OSError, ValueError))


def in_one_line(error: BaseException) -> str:
    """The message of an exception without its line breaks, or its type if the message is empty."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def printable(text: str) -> str:
    r"""A text without what a terminal would obey: control characters, such as in a file's name, as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
