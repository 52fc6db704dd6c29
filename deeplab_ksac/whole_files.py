"""Files and folders that are written completely or not at all, and what a kill leaves of those that were not."""

import contextlib
import hashlib
import os
import pathlib
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterable, Iterator

from deeplab_ksac.storage import Place, absolute, is_remote, place
from deeplab_ksac.storage.copies import remove_folder, upload

HOSTS_OWN = "4026531836"  # Linux's number for the processes of the host itself
LONGEST_NAME = 150  # bytes of a name that is kept as it is: with what is added, a file system takes 255


def write_whole(path: str | os.PathLike, data: bytes | str) -> None:
    """Writes a file through a temporary sibling: afterwards it is complete, or as it was before.

    In an object store it is put as one object, with the same promise.

    Args:
        path: of the file; its folder must exist.
        data: bytes, or text that is written as UTF-8.

    Raises:
        OSError: it cannot be written; the message names the file and the reason.
    """
    path, content = place(path), data.encode("utf-8") if isinstance(data, str) else data
    if is_remote(path):
        path.write_bytes(content)
        return
    partial = partial_path(path)
    try:
        partial.write_bytes(content)
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
    return place(path).read_bytes()


def present(path: str | os.PathLike) -> bool:
    """Whether anything is at a path, a link to nothing too."""
    return place(path).exists() if is_remote(path) else os.path.lexists(path)


def require_regular(path: str | os.PathLike) -> None:
    """Raises OSError for what is there and is no regular file; an object store has no others."""
    if not is_remote(path) and os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} is no regular file, but a folder, pipe, socket or device")


@contextlib.contextmanager
def written_here(path: Place) -> Iterator[pathlib.Path]:
    """Yields where on this machine a file is to be written that is at `path` afterwards, if nothing went wrong."""
    with contextlib.ExitStack() as stack:
        if is_remote(path):
            here = stack.enter_context(tempfile.TemporaryDirectory(prefix="written_"))
            partial = pathlib.Path(here, path.name)
        else:
            partial = partial_path(path)
        stack.callback(partial.unlink, missing_ok=True)
        yield partial
        if is_remote(path):
            upload(partial, path)
        else:
            partial.replace(path)


def append(path: str | os.PathLike, text: str) -> None:
    """Appends a line to a text file, which need not exist; a kill or a full disk may leave it cut off.

    A line that was cut off before is ended first, so that it spoils no other. An object store appends nothing: there
    the file is put anew, with the text.

    Raises:
        OSError: it cannot be written; the message names the file and the reason.
    """
    path = place(path)
    if is_remote(path):
        write_whole(path, (path.read_text() if path.is_file() else "") + text)
        return
    if path.is_fifo():
        raise OSError(f"{path} is no regular file, but a pipe")
    try:
        with path.open("ab+") as stream:
            length = stream.tell()
            stream.seek(max(length - 1, 0))
            cut = stream.read(1) not in (b"", b"\n")
            stream.write(b"\n" * cut + text.encode("utf-8"))
    except OSError as error:
        raise unwritable(path, error) from error


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
    if is_remote(path):  # nothing is set aside there
        return
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
        for path in () if is_remote(folder) else list(pathlib.Path(folder).iterdir()):
            found = pattern.fullmatch(path.name)
            if found is None or (wanted is not None and not _is_of(found, wanted)):
                continue
            if alone or not _runs(int(found["pid"])):
                left.append(path)
    return left


def remove(path: Place) -> None:
    """Removes a file, or a folder with all that it holds, where it is there; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def check_writable(folder: str | os.PathLike) -> None:
    """Makes sure, before any work, that files can be written to a folder, or to what it is to be made in.

    Raises:
        OSError: they cannot; the message names the folder and the reason.
    """
    if is_remote(folder):
        trial = place(folder) / f".writable_{secrets.token_hex(4)}"
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
        return
    nearest = pathlib.Path(os.path.abspath(folder))
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is no folder, so nothing can be written to {folder}")
    try:
        with tempfile.TemporaryFile(dir=nearest, prefix=".writable_"):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error


def check_file_writable(path: str | os.PathLike) -> None:
    """Makes sure, before any work, that `write_whole` can write a file.

    Raises:
        OSError: it cannot: its folder, as `check_writable`; it is a folder; or its name is too long.
    """
    check_writable(absolute(path).parent)
    if is_remote(path):
        return
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
    with contextlib.closing(place(path).open("rb")) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
