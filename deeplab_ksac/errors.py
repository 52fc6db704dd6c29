"""Errors that a user can fix, kept apart from bugs, and shown in one line."""

import os
import re
import sys

ABOUT_THE_GRAPH = ("\t", "  File", "Graph execution error:", "Detected at node", "Node: ", "Hint: ", "[[", "[Op:")
LONGEST = 2000  # characters of a message
# before what an operation of a data set says, from TensorFlow 2.16 on
IN_A_DATASET = re.compile(r"Error in user-defined function passed to \S+ transformation with iterator: \S+: ")


def is_input_error(error: BaseException) -> bool:
    """Whether an exception is an error of the input: OSError, ValueError, or one of TensorFlow's own."""
    return is_of_tensorflow(error) or isinstance(error, (OSError, ValueError))


def is_of_tensorflow(error: BaseException) -> bool:
    """Whether an exception comes from an operation of TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")  # not imported for this: it takes seconds
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)


def in_one_line(error: BaseException) -> str:
    """The message of an exception without its line breaks, or its type if the message is empty.

    Of TensorFlow's messages, which tell of the graph and of the Python code that made it, what happened; of an error of
    the system the file and the reason, without its number.
    """
    text = reason(str(error.message)) if is_of_tensorflow(error) else str(error)
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str | os.PathLike):
        text = f"{os.fspath(error.filename)}: {error.strerror}"
    return shortened(printable(" ".join(text.split()))) or type(error).__name__


def shortened(text: str) -> str:
    """A text without its middle where it is longer than anybody reads, as of a value of thousands of brackets."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def printable(text: str) -> str:
    r"""A text without what a terminal would obey: control characters, such as in a file's name, as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def reason(message: str) -> str:
    """The line of a message of TensorFlow's that says what happened, the innermost of several errors."""
    plain = IN_A_DATASET.sub("", re.sub(r"\s*\[Op:\w+\]( name: ?\S*)?", "", re.sub(r"\{\{.*?\}\}", "", message)))
    said = [line.strip() for line in plain.splitlines() if line.strip() and not is_about_the_graph(line)]
    asserted = re.fullmatch(r"assertion failed: \[(.*)\]", said[-1]) if said else None
    return asserted[1].replace("] [", " ") if asserted else said[-1] if said else ""


def is_about_the_graph(line: str) -> bool:
    """Whether a line of a message says where in the graph, and not what."""
    return line.startswith(ABOUT_THE_GRAPH) or line.lstrip().startswith(ABOUT_THE_GRAPH[-2:])
