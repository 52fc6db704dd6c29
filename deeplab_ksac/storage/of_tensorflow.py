"""The object stores that TensorFlow opens itself: gs://, ram:// (the memory of this process), hdfs:// …"""

import contextlib
import dataclasses
import pathlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

import tensorflow as tf

from deeplab_ksac.errors import in_one_line

SCHEMES = frozenset(tf.io.gfile.get_registered_schemes()) - {""}
WHOLE = ("gs",)  # stores that show a file once it is closed
BLOCK = 16 << 20  # bytes that are copied at a time
NOT_ALLOWED = (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError)


@dataclasses.dataclass(frozen=True)
class State:
    """As `remote.State`."""

    st_size: int
    st_mtime_ns: int


class TensorFlowFiles:
    """As `remote.Files`."""

    def stat(self, address: str) -> State | None:
        """Of a file; None of a folder, and where there is none."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors(address):
            found = tf.io.gfile.stat(address)
            return None if found.is_directory else State(found.length, found.mtime_nsec)
        return None

    def is_dir(self, address: str) -> bool:
        """Whether there is a folder."""
        with _as_os_errors(address):
            return tf.io.gfile.isdir(address)

    def names(self, address: str) -> list[str]:
        """Of what is directly in a folder; none where there is no folder."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors(address):
            return [name.rstrip("/") for name in tf.io.gfile.listdir(address)]
        return []

    def make_dir(self, address: str) -> None:
        """Makes a folder and those above it."""
        with _as_os_errors(address):
            tf.io.gfile.makedirs(address)

    def open(self, address: str) -> IO[bytes]:
        """A file to be read."""
        with _as_os_errors(address):
            stream = tf.io.gfile.GFile(address, "rb")
            stream.size()  # or one that is not there would be noticed by the first read only
            return stream

    def put(self, address: str, content: IO[bytes]) -> None:
        """Writes a file, which is there once it is whole; after an error there is what was there before."""
        with _as_os_errors(address):
            if address.partition("://")[0] in WHOLE:
                _put_at_once(address, content)
            else:
                _put_beside(address, content)

    def remove(self, address: str) -> None:
        """Removes a file."""
        with _as_os_errors(address):
            tf.io.gfile.remove(address)

    def remove_dir(self, address: str) -> None:
        """Removes what is left of a folder that holds no file."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors(address):
            tf.io.gfile.rmtree(address)


def _put_at_once(address, content):
    """Writes a file in its place, in a store that does not show it before it is closed.

    TensorFlow closes a file however its writing ends, and would publish what there is of it. So the content is copied
    to this machine first, where reading it may fail, and goes to the store in one call, which no exception interrupts.
    `_put_beside` would need further requests for each file, and a kill would leave the sibling in the store.
    """
    with tempfile.TemporaryDirectory(prefix="put_") as folder:
        whole = pathlib.Path(folder, "whole")
        try:
            with whole.open("wb") as file:
                shutil.copyfileobj(content, file, BLOCK)
        except OSError as error:
            raise OSError(f"{address} cannot be written by way of {folder}: {error.strerror or error}") from error
        tf.io.gfile.copy(str(whole), address, overwrite=True)


def _put_beside(address, content):
    """Writes a file beside its place, and then gives it that; of what does not become whole nothing is left."""
    folder, _, name = address.rpartition("/")
    beside = f"{folder}/.{name}.{secrets.token_hex(4)}.partial"
    try:
        with tf.io.gfile.GFile(beside, "wb") as stream:
            stream.write(b"")  # which makes it, also where there is no content
            shutil.copyfileobj(content, stream, BLOCK)
        tf.io.gfile.rename(beside, address, overwrite=True)
    except BaseException:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(beside)
        raise


@contextlib.contextmanager
def _as_os_errors(address: str) -> Iterator[None]:
    """Inside, what TensorFlow raises is an `OSError` that names the address."""
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(f"{address} is not there") from error
    except NOT_ALLOWED as error:
        raise PermissionError(f"{address} may not be opened: {in_one_line(error)}") from error
    except tf.errors.OpError as error:
        raise OSError(f"{address}: {in_one_line(error)}") from error
