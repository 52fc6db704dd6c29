"""The object stores that fsspec opens, for which TensorFlow has no file system: s3:// by s3fs."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from typing import IO

import fsspec

from deeplab_ksac.errors import in_one_line

BLOCK = 16 << 20  # bytes that are copied at a time


@dataclasses.dataclass(frozen=True)
class State:
    """As `remote.State`."""

    st_size: int
    st_mtime_ns: int


class FsspecFiles:
    """As `remote.Files`; what the store says is never kept, since others write there too.

    Raises:
        ImportError: fsspec has no file system for the scheme, or what that needs is not installed.
    """

    def __init__(self, scheme: str):
        self.system = fsspec.filesystem(scheme, use_listings_cache=False)

    def stat(self, address: str) -> State | None:
        """Of a file; None of a folder, and where there is none."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors(address):
            found = self.system.info(address)
            if found["type"] == "file":
                written = found.get("LastModified") or found.get("mtime") or found.get("created")
                stamp = written.timestamp() if hasattr(written, "timestamp") else written or 0
                return State(found["size"], int(stamp * 1e9))
        return None

    def is_dir(self, address: str) -> bool:
        """Whether something is in a folder: without that there is none."""
        with _as_os_errors(address):
            return self.system.isdir(address)

    def names(self, address: str) -> list[str]:
        """Of what is directly in a folder; none where there is no folder."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors(address):
            own = self.system._strip_protocol(address)
            found = (path.rstrip("/") for path in self.system.ls(address, detail=False))
            return [path.rpartition("/")[2] for path in found if path != own]
        return []

    def make_dir(self, address: str) -> None:
        """Nothing: a folder is there as soon as a file is in it."""

    def open(self, address: str) -> IO[bytes]:
        """A file to be read."""
        with _as_os_errors(address):
            return self.system.open(address, "rb")

    def put(self, address: str, content: IO[bytes]) -> None:
        """Writes a file, in parts where it is large; it is there once it is closed, and not at all after an error."""
        with _as_os_errors(address):
            stream = self.system.open(address, "wb")
            try:
                shutil.copyfileobj(content, stream, BLOCK)
            except BaseException:
                stream.discard()
                stream.closed = True  # or the garbage collector would close it, and so finish the file
                raise
            stream.close()

    def remove(self, address: str) -> None:
        """Removes a file."""
        with _as_os_errors(address):
            if not self.system.exists(address):  # which deleting does not say
                raise FileNotFoundError(f"{address} is not there")
            self.system.rm_file(address)

    def remove_dir(self, address: str) -> None:
        """Nothing: an empty folder is none."""


@contextlib.contextmanager
def _as_os_errors(address: str) -> Iterator[None]:
    """Inside, whatever a store's client raises is an `OSError` that names the address."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{address} is not there") from error
    except PermissionError as error:
        raise PermissionError(f"{address} may not be opened: {in_one_line(error)}") from error
    except Exception as error:  # clients have no error in common
        raise OSError(f"{address}: {in_one_line(error)}") from error
