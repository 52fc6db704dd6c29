"""Folders that take their place whole or not at all, written by one process at a time."""

import contextlib
import os
import pathlib
import secrets
import shutil
import time
from collections.abc import Iterator

import filelock

from deeplab_ksac.datasets.info import DatasetError

PATIENCE = 2.0  # seconds: what was killed a moment ago may still be ending


@contextlib.contextmanager
def only_one(target: pathlib.Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Holds the lock of the folder `target` (a hidden file next to it); any end of the process releases it.

    Args:
        target: need not exist; the folder that it is in is made, and removed where nothing has come of it.
        patience: seconds to wait for another holder.

    Raises:
        DatasetError: another process holds it.
    """
    path = target.with_name(f".{target.name}.lock")
    lock = _locked(path, time.monotonic() + patience)
    try:
        with contextlib.suppress(OSError):  # Windows lets nobody write to a locked file
            path.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        with contextlib.suppress(OSError):  # nor remove it
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _locked(path, deadline):
    """The lock of the file that bears the name `path` after locking."""
    lock = filelock.FileLock(path)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
            return lock
        except (FileNotFoundError, FileExistsError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)  # its last holder is just removing the empty folder
        except filelock.Timeout:
            raise DatasetError(
                f"{path.parent} is being written by another conversion (process {_holder(path)}); "
                f"wait until it ends, or choose another name or data_dir"
            ) from None


def _holder(path):
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except (OSError, ValueError):
        return "unknown"


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
