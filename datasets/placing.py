"""A folder that takes its place whole or not at all, written by one process at a time."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import time

from deeplab_ksac.datasets.info import DatasetError

PATIENCE = 2.0  # seconds: what was killed a moment ago may still be ending


@contextlib.contextmanager
def only_one(target, *, patience=PATIENCE):
    """Holds the lock of the folder `target` (a hidden file beside it); the end of the process releases it, however.

    Processes forked inside hold it as well until they end, so that nobody writes beside an orphan.

    Raises:
        DatasetError: another process holds it.
    """
    path = target.with_name(f".{target.name}.lock")
    handle = _lock(path, time.monotonic() + patience)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # where nothing has come of it


def _lock(path, deadline):
    """A locked descriptor of the file that bears the name `path` after locking."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except (FileNotFoundError, FileExistsError):
            if time.monotonic() > deadline:
                raise
            continue  # its last holder is just removing the empty folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(handle).st_ino:  # else its last holder has removed it
                    return handle
            os.close(handle)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            if time.monotonic() > deadline:
                raise DatasetError(
                    f"{path.parent} is being written by another conversion (process {holder or 'unknown'}); "
                    f"wait for its end, or choose another name or data_dir"
                ) from None
            time.sleep(0.05)


def write_whole(path, text):
    """Writes a text file by way of a temporary sibling: it is there whole, or not."""
    partial = pathlib.Path(path).with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def move_into_place(temporary, target):
    """Gives the complete folder its final name; what stood there is removed after."""
    previous = _previous(target)
    if target.exists():
        target.rename(previous)
    temporary.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def restore_previous(target):
    """Undoes a replacement that was killed between its two renames, or ends one that was killed after them."""
    previous = _previous(target)
    if previous.exists() and not target.exists():
        previous.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(target):
    return target.with_name(f".{target.name}.previous")
