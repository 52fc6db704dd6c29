"""Errors that a user can mend, told from faults of the program, and said in one line."""

import sys


def is_input_error(error: BaseException) -> bool:
    """Whether an exception is an error of the input: OSError, ValueError, or one of TensorFlow's own."""
    tensorflow = sys.modules.get("tensorflow")  # not imported for this: it takes seconds
    of_tensorflow = tensorflow is not None and isinstance(error, tensorflow.errors.OpError)
    return of_tensorflow or isinstance(error, (OSError, ValueError))


def in_one_line(error: BaseException) -> str:
    """The message of an exception without its line breaks; its type where there is no message."""
    return " ".join(str(error).split()) or type(error).__name__
