"""One holder at a time: a lock file that says who holds it, and that any end of the process releases."""

import contextlib
import errno
import logging
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator

import filelock

from deeplab_ksac.errors import printable
from deeplab_ksac.storage import is_remote, place

LOG = logging.getLogger(__name__)
PATIENCE = 2.0  # seconds: what was killed a moment ago may still be ending
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what a file system without locks answers
HOLDER_LENGTH = 200


@contextlib.contextmanager
def only_one(
    path: str | os.PathLike, *, busy: Callable[[str], Exception], patience: float = PATIENCE
) -> Iterator[None]:
    """Holds a lock file while it is entered.

    Locks are the operating system's: they hold between the hosts that share a network file system, as far as that
    passes locks on (NFS with its lock service, CephFS, Lustre mounted with `flock`). Where a file system has none, and
    in an object store, a warning says so, and nothing is locked.

    Args:
        path: the lock file; its folder is made, and removed where nothing has come of it.
        busy: who holds it, "process 12 on host a since …" -> the error to raise.
        patience: seconds to wait for another holder.
    """
    path = place(path)
    if is_remote(path):
        _unlocked(path, "an object store has no locks")
        yield
        return
    lock = _locked(path, time.monotonic() + patience, busy)
    try:
        if lock is not None:
            with contextlib.suppress(OSError):  # Windows lets nobody write to a locked file
                path.write_text(f"{_ourselves()}\n", encoding="utf-8")
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):  # nor remove it
                path.unlink()
            lock.release()
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _locked(path, deadline, busy):
    """The lock of the file that bears the name `path` after locking; None where the file system has no locks."""
    lock = filelock.FileLock(path)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of the fallback below
                lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(lock, filelock.SoftFileLock):  # filelock's own fallback, which outlives a killed process
                lock.release()
                return _unlocked(path, "locks are not implemented")
            return lock
        except (FileNotFoundError, FileExistsError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)  # its last holder is just removing the empty folder
        except filelock.Timeout:
            raise busy(_holder(path)) from None
        except NotImplementedError as error:
            return _unlocked(path, error)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return _unlocked(path, error.strerror)


def _unlocked(path, reason):
    LOG.warning(
        "%s cannot be locked (%s), so that nothing keeps a second process from writing here; start only one",
        path.parent,
        reason,
    )


def _ourselves():
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return f"process {os.getpid()} on host {socket.gethostname()} since {since}"


def _holder(path):
    try:
        return printable(path.read_text(encoding="utf-8")[:HOLDER_LENGTH].strip()) or "an unknown process"
    except (OSError, ValueError):
        return "an unknown process"
