"""A checkpoint's files where TensorFlow reads and writes them: in their place, or on this machine.

TensorFlow writes a checkpoint under temporary names and renames it. In an object store each renaming is a copy, and S3
it does not open at all; so there a checkpoint is written on this machine and put file by file.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from deeplab_ksac.literal_paths import literal, temporary_folder
from deeplab_ksac.storage import Place, is_remote, place
from deeplab_ksac.storage.copies import download, upload_folder

KINDS = (".index", ".data-*")


def files_of(prefix: str, *more: str) -> list[Place]:
    """The files of a checkpoint that are there, and those of `more` endings, in order."""
    path = place(prefix)
    return sorted(found for kind in (*KINDS, *more) for found in path.parent.glob(path.name + kind))


@contextlib.contextmanager
def writing(prefix: str) -> Iterator[str]:
    """Where TensorFlow is to write a checkpoint; in an object store its files are put there at the end."""
    if not is_remote(prefix):
        with literal(prefix) as path:
            yield path
        return
    with temporary_folder("checkpoint_") as here:
        yield os.path.join(here, place(prefix).name)
        upload_folder(pathlib.Path(here), place(prefix).parent)


@contextlib.contextmanager
def reading(prefix: str) -> Iterator[str]:
    """Where TensorFlow reads a checkpoint."""
    if not is_remote(prefix):
        with literal(prefix) as path:
            yield path
        return
    with temporary_folder("checkpoint_") as here:
        for path in files_of(prefix):
            download(path, pathlib.Path(here, path.name))
        yield os.path.join(here, place(prefix).name)
