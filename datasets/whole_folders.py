"""Folders that take their place whole or not at all, written by one process at a time."""

import contextlib
import os
import pathlib
import secrets
import shutil

from deeplab_ksac import only_one as locks
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.only_one import PATIENCE


def only_one(target: pathlib.Path, *, patience: float = PATIENCE) -> contextlib.AbstractContextManager[None]:
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


def unfinished(target: pathlib.Path) -> pathlib.Path:
    """The hidden folder in which `target` is put together, with what an interrupted writer left in it.

    It gets another name each time: processes that outlive an interrupted writer know the old one only, so that they
    cannot write beside the new writer.
    """
    folder = target.with_name(f".{target.name}.incomplete-{secrets.token_hex(4)}")
    left = sorted(target.parent.glob(f".{target.name}.incomplete*"), key=os.path.getmtime)
    if left:
        left.pop().rename(folder)
    for older in left:
        shutil.rmtree(older, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def move_into_place(temporary: pathlib.Path, target: pathlib.Path) -> None:
    """Gives the complete folder its final name; what stood there is removed after."""
    previous = _previous(target)
    if target.exists():
        target.rename(previous)
    temporary.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def restore_previous(target: pathlib.Path) -> None:
    """Undoes a replacement that was killed between its two renames, or ends one that was killed after them."""
    previous = _previous(target)
    if previous.exists() and not target.exists():
        previous.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(target):
    return target.with_name(f".{target.name}.previous")
