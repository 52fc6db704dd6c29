"""Files that are written completely or not at all."""

import os
import pathlib
import socket


def write_whole(path: str | os.PathLike, data: bytes | str) -> None:
    """Writes a file through a temporary sibling: afterwards it is complete, or as it was before.

    Args:
        path: of the file; its folder must exist.
        data: bytes, or text that is written as UTF-8.

    Raises:
        OSError: it cannot be written; the message names the file and the reason.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")  # hosts may share a folder
    try:
        partial.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        os.replace(partial, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def unwritable(path: str | os.PathLike, error: OSError) -> OSError:
    """An error that says which file cannot be written, and why."""
    return OSError(f"{path} cannot be written: {error.strerror or error}")
