"""Nothing that a command reads is replaced by what it writes."""

import os
import pathlib
from collections.abc import Iterable

from deeplab_ksac.storage import is_remote, place


def check_inputs_stay(inputs: Iterable[str | os.PathLike], outputs: Iterable[str | os.PathLike]) -> None:
    """Makes sure that no output is an input, or a folder that holds one; links are followed.

    Args:
        inputs: files and folders that are read.
        outputs: files that are written, folders that are replaced as a whole, and folders that take new files under
            names that are not known yet.

    Raises:
        FileExistsError: an output would take the place of an input; the message names both.
    """
    places = {identity: output for output in outputs for identity in _identities(output)}
    for path in inputs:
        real = place(path) if is_remote(path) else pathlib.Path(os.path.realpath(path))
        for each in (real, *real.parents):
            found = next((places[identity] for identity in _identities(each) if identity in places), None)
            if found is not None:
                what = "is read itself" if each == real else f"holds {path}, which is read"
                raise FileExistsError(f"{found} cannot be written to: it {what}; name another place for the output")


def _identities(path):
    """What tells a place from others: its path without links, and its number on its disk where it exists."""
    if is_remote(path):
        yield str(place(path))
        return
    real = os.path.realpath(path)
    yield real
    try:
        status = os.stat(real)
    except OSError:
        return
    yield status.st_dev, status.st_ino
