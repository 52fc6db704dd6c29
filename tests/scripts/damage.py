"""What may become of a file's bytes, and what a command may say of it."""

import contextlib
import io
import logging

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from deeplab_ksac.scripts.commandline.ending import exit_status

FEW = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to search for a smaller example would take minutes
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damaged(draw, content):
    """The bytes, cut, with one byte changed, with other ones within, or none of them."""
    kind = draw(st.sampled_from(["cut", "change", "splice", "noise", "empty"]))
    at = draw(st.integers(0, max(len(content) - 1, 0)))
    if kind == "cut":
        return content[:at]
    if kind == "change" and content:
        return content[:at] + bytes([content[at] ^ draw(st.integers(1, 255))]) + content[at + 1 :]
    if kind == "splice":
        end = draw(st.integers(at, min(at + 50, len(content))))
        return content[:at] + draw(st.binary(max_size=20)) + content[end:]
    return draw(st.binary(max_size=40)) if kind == "noise" else b""


def files_of(*folders):
    """{path: content} of all files below folders."""
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def ended(work, name):
    """(exit status, lines on stderr that are no progress) of a command's work in this process."""
    said = io.StringIO()
    logging.disable(logging.WARNING)  # such as of a checkpoint that is left out
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            status = exit_status(work, name=name)
    finally:
        logging.disable(logging.NOTSET)
    lines = [line for line in said.getvalue().splitlines() if line.startswith(f"{name}: ")]
    assert "Traceback" not in said.getvalue() and all(line.isprintable() for line in lines)
    assert len(lines) == (status == 1)
    assert status in (0, 1)
    return status, lines
