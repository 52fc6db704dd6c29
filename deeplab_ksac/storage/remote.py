"""The path of a file or folder in an object store, with those of pathlib's methods that are used here."""

import contextlib
import fnmatch
import functools
import io
import os
import pathlib
from collections.abc import Iterator
from typing import IO, Any, Protocol

INSTALL = "pip install 'deeplab-ksac[storage]'"


class State(Protocol):
    """What a store says of a file: its bytes, and when it was written (nanoseconds; 0 where that is not known)."""

    st_size: int
    st_mtime_ns: int


class Files(Protocol):
    """The operations of a store, on addresses; what goes wrong is an `OSError`."""

    def stat(self, address: str) -> State | None:
        """Of a file; None of a folder, and where there is none."""

    def is_dir(self, address: str) -> bool:
        """Whether there is a folder."""

    def names(self, address: str) -> list[str]:
        """Of what is directly in a folder; none where there is no folder."""

    def make_dir(self, address: str) -> None:
        """Makes a folder and those above it, where the store has folders."""

    def open(self, address: str) -> IO[bytes]:
        """A file to be read: `read`, `seek`, `close`."""

    def put(self, address: str, content: IO[bytes]) -> None:
        """Writes a file, which is there once it is whole."""

    def remove(self, address: str) -> None:
        """Removes a file."""

    def remove_dir(self, address: str) -> None:
        """Removes what is left of a folder that holds no file."""


@functools.total_ordering
class RemotePath(os.PathLike):
    """An address, "scheme://bucket/folder/name": what text it is, and what is there.

    Example:
        folder = RemotePath("gs://bucket/runs") / "scenes"
        (folder / "experiment.json").read_text()

    Args:
        address: without ".." in it; slashes that are too many are left out.

    Raises:
        ValueError: ".." in the address.
    """

    def __init__(self, address: str):
        scheme, _, rest = address.partition("://")
        self._names = tuple(name for name in rest.split("/") if name not in ("", "."))
        if ".." in self._names:
            raise ValueError(f"{address} has '..' in it, which an object store takes for a name; write it out")
        self.scheme = scheme
        self._address = f"{scheme}://{'/'.join(self._names)}"

    def __fspath__(self) -> str:
        return self._address

    def __str__(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"RemotePath({self._address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self._address == other._address

    def __lt__(self, other: "RemotePath") -> bool:
        return self._names < other._names if self.scheme == other.scheme else self.scheme < other.scheme

    def __hash__(self) -> int:
        return hash(self._address)

    def __truediv__(self, name: str | os.PathLike) -> "RemotePath":
        return self.joinpath(name)

    def joinpath(self, *names: str | os.PathLike) -> "RemotePath":
        """What these names lead to from here."""
        return RemotePath("/".join([self._address, *map(os.fspath, names)]))

    @property
    def parts(self) -> tuple[str, ...]:
        """The scheme with its slashes, and each name."""
        return (self.anchor, *self._names)

    @property
    def anchor(self) -> str:
        """The scheme with its slashes."""
        return f"{self.scheme}://"

    @property
    def name(self) -> str:
        """The last name."""
        return self._names[-1] if self._names else ""

    @property
    def stem(self) -> str:
        """The last name without its suffix."""
        return pathlib.PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the last name from its last dot on."""
        return pathlib.PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder that it is in; of a store's root, itself."""
        return RemotePath(f"{self.scheme}://{'/'.join(self._names[:-1])}")

    @property
    def parents(self) -> tuple["RemotePath", ...]:
        """The folders that it is in, the nearest first."""
        return tuple(
            RemotePath(f"{self.scheme}://{'/'.join(self._names[:end])}") for end in reversed(range(len(self._names)))
        )

    def with_name(self, name: str) -> "RemotePath":
        """The same with another last name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> "RemotePath":
        """The same with another suffix."""
        return self.with_name(str(pathlib.PurePosixPath(self.name).with_suffix(suffix)))

    def relative_to(self, other: "RemotePath") -> pathlib.PurePosixPath:
        """The names that lead from another folder to this."""
        return pathlib.PurePosixPath(*self.parts).relative_to(pathlib.PurePosixPath(*other.parts))

    def as_posix(self) -> str:
        """The address."""
        return self._address

    def absolute(self) -> "RemotePath":
        """Itself."""
        return self

    def is_symlink(self) -> bool:
        """False: there are no links."""
        return False

    @property
    def files(self) -> Files:
        """The operations of its store."""
        return files_of(self.scheme)

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is a file."""
        return self.files.stat(self._address) is not None

    def is_dir(self) -> bool:
        """Whether there is a folder."""
        return self.files.is_dir(self._address)

    def stat(self) -> State:
        """`st_size` and `st_mtime_ns` of a file; FileNotFoundError where there is none."""
        found = self.files.stat(self._address)
        if found is None:
            raise FileNotFoundError(f"{self._address} is not there")
        return found

    def iterdir(self) -> Iterator["RemotePath"]:
        """What is directly in the folder; nothing where there is none."""
        return (self / name for name in sorted(self.files.names(self._address)))

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """What below the folder has names that fit the pattern, name by name; without `**`."""
        first, _, rest = pattern.partition("/")
        names = self.files.names(self._address)
        for name in sorted(name for name in names if fnmatch.fnmatchcase(name, first)):
            yield from (self / name).glob(rest) if rest else (self / name,)

    def rglob(self, pattern: str) -> Iterator["RemotePath"]:
        """All files below the folder whose names fit the pattern."""
        for path in self.iterdir():
            if path.is_file():
                yield from (path,) if fnmatch.fnmatchcase(path.name, pattern) else ()
            else:
                yield from path.rglob(pattern)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder, with those above it.

        Raises:
            FileExistsError: it is there, without `exist_ok`.
        """
        if not exist_ok and self.exists():
            raise FileExistsError(f"{self._address} exists")
        self.files.make_dir(self._address)

    def open(self, mode: str = "r", encoding: str | None = None) -> IO[Any]:
        """The file, to be read.

        Raises:
            ValueError: another mode: a file is written as a whole.
        """
        if mode not in ("r", "rb"):
            raise ValueError(f"{self._address} can be read, and written as a whole, not opened with mode {mode!r}")
        stream = self.files.open(self._address)
        return stream if mode == "rb" else io.TextIOWrapper(io.BytesIO(_closing(stream)), encoding=encoding or "utf-8")

    def read_bytes(self) -> bytes:
        """The content of the file."""
        return _closing(self.files.open(self._address))

    def read_text(self, encoding: str = "utf-8") -> str:
        """The text that the file holds."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> int:
        """Puts a file, whole."""
        self.files.put(self._address, io.BytesIO(data))
        return len(data)

    def write_text(self, text: str, encoding: str = "utf-8") -> int:
        """Puts a file with a text, whole."""
        return self.write_bytes(text.encode(encoding))

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        with contextlib.suppress(FileNotFoundError) if missing_ok else contextlib.nullcontext():
            self.files.remove(self._address)

    def rmdir(self) -> None:
        """Removes what is left of the folder.

        Raises:
            OSError: something is in it.
        """
        if self.files.names(self._address):
            raise OSError(f"{self._address} is not empty")
        self.files.remove_dir(self._address)


def _closing(stream):
    with contextlib.closing(stream):
        return stream.read()


@functools.cache
def files_of(scheme: str) -> Files:
    """The operations of the store that a scheme names: TensorFlow's where it knows the scheme, else fsspec's.

    Raises:
        OSError: neither knows it, or what fsspec needs for it is not installed.
    """
    from deeplab_ksac.storage.of_tensorflow import SCHEMES, TensorFlowFiles  # seconds that a local path does not need

    if scheme in SCHEMES:
        return TensorFlowFiles()
    try:
        from deeplab_ksac.storage.of_fsspec import FsspecFiles
    except ImportError:
        raise OSError(f"fsspec, which opens {scheme}://, is not installed: {INSTALL}") from None
    try:
        return FsspecFiles(scheme)
    except ImportError as error:
        raise OSError(f"{scheme}:// cannot be opened: {error}; {INSTALL}") from None
    except ValueError:
        raise OSError(f"{scheme}:// is opened neither by TensorFlow nor by fsspec") from None
