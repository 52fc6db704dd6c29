"""TensorFlow's own notes on its start, kept out of a command's output."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType


def keep_tensorflow_quiet() -> None:
    """Has TensorFlow load without its notes, when it is first imported in this process.

    Its native part (2.21) writes some to the process's stderr before any level of its log counts.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the notes after its start; errors are raised
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as the other finders do, once, and loads it with stderr held back."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _held_back(load, module)
        return spec


def _held_back(load, module):
    with _stderr_unless_it_fails():
        load(module)


@contextlib.contextmanager
def _stderr_unless_it_fails() -> Iterator[None]:
    """What is written to the process's stderr meanwhile is dropped, and passed on if an exception leaves."""
    try:
        stderr = os.dup(2)
    except OSError:  # a process without a stderr
        yield
        return
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
