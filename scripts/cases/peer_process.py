"""A side in a process of its own, of this interpreter, PyTorch's or Keras 3's: a turn for each line that it reads."""

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence

DONE = "done"


def torch_python():
    """The interpreter that has torch and timm, None if none is known."""
    named = os.environ.get("KSAC_TORCH_PYTHON")
    if named:
        return named
    return sys.executable if importlib.util.find_spec("torch") and importlib.util.find_spec("timm") else None


@functools.cache
def torch_has(*packages: str) -> bool:
    """Whether the interpreter for PyTorch has all of these packages; they are looked for, not imported."""
    python = torch_python()
    if python is None:
        return False
    if python == sys.executable:
        return all(importlib.util.find_spec(package) for package in packages)
    program = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(p) for p in {packages!r}))"
    return subprocess.run([python, "-c", program], check=False, capture_output=True).returncode == 0


def prepare_process(
    program: str | pathlib.Path,
    arguments: Sequence,
    name: str,
    *,
    python: str | None = None,
    greeted: Callable[[str], None] = lambda line: None,
    **variables: str,
) -> Callable:
    """A callable that has a process make one turn; the process answers when it is ready, and after each turn.

    Args:
        program: Python's text, or a file of it.
        arguments: of the program.
        name: what an error calls it.
        python: the interpreter; by default that for PyTorch.
        greeted: called with the line by which the process says that it is ready.
        variables: of its environment, besides this one's.

    Returns:
        The callable. It gives the seconds that the process says that the turn took, None if it says "done".
    """
    started = [str(program)] if isinstance(program, pathlib.Path) else ["-c", program]
    process = subprocess.Popen(
        [python or torch_python(), *started, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )

    def answer():
        line = process.stdout.readline().strip()
        if not line:
            raise OSError(f"{name} ended with status {process.wait()}")
        return line

    def run():
        process.stdin.write("\n")
        process.stdin.flush()
        line = answer()
        return None if line == DONE else float(line)

    weakref.finalize(run, process.communicate)  # with its case the process ends, and frees its memory
    greeted(answer())
    return run
