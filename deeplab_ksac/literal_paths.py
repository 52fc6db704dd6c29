"""Paths that TensorFlow takes for patterns, such as "run [lr=0.1]/ckpt-4", and how it reaches files there all the same.

A checkpoint and a SavedModel are found by matching their path as a pattern, so that below such a folder TensorFlow
finds none.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

from deeplab_ksac.storage import is_remote

PATTERN = re.compile(r"[*?\[\\\ud800-\udfff]")  # what makes a pattern, and what is no UTF-8
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", os.curdir)  # where to go where TMPDIR is such a folder


def is_pattern(path: str | os.PathLike) -> bool:
    """Whether TensorFlow takes a path, made absolute, for a pattern."""
    if is_remote(path):
        return PATTERN.search(os.fspath(path)) is not None
    return PATTERN.search(os.path.abspath(path)) is not None


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[str]:
    """A new folder that is no pattern, and is gone afterwards; in the system's folder for such, where that is none.

    Raises:
        OSError: there is no place for it.
    """
    usual = tempfile.gettempdir()
    for place in (usual, *TEMPORARY):
        if is_pattern(place) or not os.path.isdir(place):
            continue
        with contextlib.suppress(OSError):
            made = tempfile.TemporaryDirectory(prefix=prefix, dir=os.path.abspath(place))
            break
    else:
        raise OSError(
            f"{usual}, the folder for temporary files, has a character in its name that TensorFlow takes for a "
            "pattern; set TMPDIR to another"
        )
    with made as folder:
        yield folder


@contextlib.contextmanager
def literal(path: str | os.PathLike) -> Iterator[str]:
    """The path of a file or of a checkpoint, or one of the same file that TensorFlow does not take for a pattern.

    The other leads through a link, which is there while this is entered, to the folder.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if not is_pattern(folder):
        yield str(path)
        return
    with temporary_folder("link_") as place:
        link = os.path.join(place, "folder")
        os.symlink(folder, link, target_is_directory=True)
        yield os.path.join(link, name)
