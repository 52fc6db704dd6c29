"""Files and folders that are written completely or not at all, and what a kill leaves of those that were not."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterable

HOSTS_OWN = "4026531836"  # Linux's number for the processes of the host itself
LONGEST_NAME = 150  # bytes of a name that is kept as it is: with what is added, a file system takes 255


def write_whole(path: str | os.PathLike, data: bytes | str) -> None:
    """Writes a file through a temporary sibling: afterwards it is complete, or as it was before.

    Args:
        path: of the file; its folder must exist.
        data: bytes, or text that is written as UTF-8.

    Raises:
        OSError: it cannot be written; the message names the file and the reason.
    """
    path = pathlib.Path(path)
    partial = partial_path(path)
    try:
        partial.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        os.replace(partial, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def read_whole(path: str | os.PathLike) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, or is a folder, or a pipe, socket or device, which could keep its reader waiting for
            ever.
    """
    require_regular(path)
    return pathlib.Path(path).read_bytes()


def require_regular(path: str | os.PathLike) -> None:
    """Raises OSError for what is there and is no regular file."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} is no regular file, but a folder, pipe, socket or device")


def unwritable(path: str | os.PathLike, error: OSError) -> OSError:
    """An error that says which file cannot be written, and why."""
    return OSError(f"{path} cannot be written: {error.strerror or error}")


def partial_path(path: str | os.PathLike, suffix: str = "") -> pathlib.Path:
    """Where this process writes what is to become `path`, a hidden sibling of it; `remove_partial` knows the name.

    Args:
        path: of the file or folder; hosts may share its folder.
        suffix: that the name has to end in.
    """
    path = pathlib.Path(path)
    return path.with_name(f".{_short(path.name)}.{_host()}.{os.getpid()}.partial{suffix}")


def remove_partial(folder: str | os.PathLike, names: Iterable[str] | None = None, *, alone: bool = False) -> None:
    """Removes from a folder what killed processes have left at `partial_path`; a running process's is not touched.

    What processes of another host wrote stays, for whether they run is not known here.

    Args:
        folder: need not exist.
        names: of the files that they were to become; None for any.
        alone: whether the caller knows (by a lock) that no other process of any host writes these files.
    """
    for path in _left(folder, r"partial(\.\w+)?", names, alone):
        remove(path)


def replaced_path(path: str | os.PathLike) -> pathlib.Path:
    """Where this process keeps what is at `path` while it puts another in its place, a hidden sibling of it."""
    path = pathlib.Path(path)
    return path.with_name(f".{_short(path.name)}.{_host()}.{os.getpid()}.replaced")


def recover_replaced(path: str | os.PathLike) -> None:
    """Puts back what a killed process has left at `replaced_path`, or removes it where there is a `path` again.

    What a running process, or one of another host, has set aside is not touched.
    """
    path = pathlib.Path(os.path.abspath(path))
    for old in _left(path.parent, "replaced", [path.name]):
        if os.path.lexists(path):
            remove(old)
            continue
        with contextlib.suppress(OSError):
            old.rename(path)


def _left(folder, kind, names=None, alone=False):
    """What killed processes have left in a folder under names that end in `kind`; see `remove_partial`."""
    wanted = None if names is None else {_short(name) for name in names}
    host = "[^/]*" if alone else re.escape(_host())
    pattern = re.compile(rf"\.(?P<name>.+)\.{host}\.(?P<pid>[0-9]+)\.{kind}", re.DOTALL)
    left = []
    with contextlib.suppress(OSError):
        for path in list(pathlib.Path(folder).iterdir()):
            found = pattern.fullmatch(path.name)
            if found is None or (wanted is not None and not _is_of(found, wanted)):
                continue
            if alone or not _runs(int(found["pid"])):
                left.append(path)
    return left


def remove(path: pathlib.Path) -> None:
    """Removes a file, or a folder with all that it holds, where it is there; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def check_writable(folder: str | os.PathLike) -> None:
    """Makes sure, before any work, that files can be written to a folder, or to what it is to be made in.

    Raises:
        OSError: they cannot; the message names the folder and the reason.
    """
    place = pathlib.Path(os.path.abspath(folder))
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{place} is no folder, so nothing can be written to {folder}")
    try:
        with tempfile.TemporaryFile(dir=place, prefix=".writable_"):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error


def check_file_writable(path: str | os.PathLike) -> None:
    """Makes sure, before any work, that `write_whole` can write a file.

    Raises:
        OSError: it cannot: its folder, as `check_writable`; it is a folder; or its name is too long.
    """
    check_writable(pathlib.Path(os.path.abspath(path)).parent)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder, and is to be a file")


def _is_of(found, wanted):
    """Whether a partial file is of one of these names; a host's name may have dots in it."""
    return any(f"{found['name']}.".startswith(f"{name}.") for name in wanted)


def _short(name):
    """A name that leaves room for what is added to it."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= LONGEST_NAME else hashlib.sha256(encoded).hexdigest()


def _host():
    """The name of the host, and of the container where its processes have numbers of their own."""
    with contextlib.suppress(OSError):
        space = re.sub("[^0-9]", "", os.readlink("/proc/self/ns/pid"))
        if space != HOSTS_OWN:
            return f"{socket.gethostname()}-{space}"
    return socket.gethostname()


def _runs(pid):
    """Whether a process of this host runs; also where that cannot be known."""
    if os.name == "nt":  # there the signal 0 ends a process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's; no number of a process
        return True
    return True


def checksum(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, in hexadecimal; OSError where it cannot be read."""
    digest = hashlib.sha256()
    require_regular(path)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
