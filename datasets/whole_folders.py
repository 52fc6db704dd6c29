"""Folders that take their place whole or not at all, written by one process at a time.

In an object store, which renames no folder, one is put together where it is to be, and the file by which it is known
comes last: `is_there` asks for that file. What is there already is not replaced: a kill would leave neither.
"""

import contextlib
import os
import secrets
import shutil

from deeplab_ksac import only_one as locks
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.only_one import PATIENCE
from deeplab_ksac.storage import Place, is_remote


def is_there(target: Place, known_by: str) -> bool:
    """Whether there is a folder `target`; in an object store, whether it is whole.

    Args:
        target: the folder.
        known_by: the name of the file in it that is written last.
    """
    return (target / known_by).is_file() if is_remote(target) else target.exists()


def check_replaceable(target: Place, error: type[Exception]) -> None:
    """Raises an error if what is at `target` cannot be replaced, because it is in an object store."""
    if is_remote(target):
        raise error(
            f"{target} exists, and in an object store no folder can be replaced at once; remove it first, or choose "
            "another place"
        )


def only_one(target: Place, *, patience: float = PATIENCE) -> contextlib.AbstractContextManager[None]:
    """Holds the lock of the folder `target` (a hidden file next to it); any end of the process releases it.

    Args:
        target: need not exist; the folder that it is in is made, and removed where nothing has come of it.
        patience: seconds to wait for another holder.

    Raises:
        DatasetError: another process holds it.
    """

    def busy(holder):
        return DatasetError(
            f"{target.parent} is being written by another conversion ({holder}); wait until it ends, or choose "
            "another name or data_dir"
        )

    return locks.only_one(target.with_name(f".{target.name}.lock"), busy=busy, patience=patience)


def unfinished(target: Place) -> Place:
    """The hidden folder in which `target` is put together, with what an interrupted writer left in it.

    It gets another name each time: processes that outlive an interrupted writer know the old one only, so that they
    cannot write beside the new writer. In an object store it is `target` itself.
    """
    if is_remote(target):
        target.mkdir(parents=True, exist_ok=True)
        return target
    folder = target.with_name(f".{target.name}.incomplete-{secrets.token_hex(4)}")
    left = sorted(target.parent.glob(f".{target.name}.incomplete*"), key=os.path.getmtime)
    if left:
        left.pop().rename(folder)
    for older in left:
        shutil.rmtree(older, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def move_into_place(temporary: Place, target: Place) -> None:
    """Gives the complete folder its final name; what stood there is removed after."""
    if temporary == target:
        return
    previous = _previous(target)
    if target.exists():
        target.rename(previous)
    temporary.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def restore_previous(target: Place) -> None:
    """Undoes a replacement that was killed between its two renames, or ends one that was killed after them."""
    if is_remote(target):
        return
    previous = _previous(target)
    if previous.exists() and not target.exists():
        previous.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(target):
    return target.with_name(f".{target.name}.previous")
