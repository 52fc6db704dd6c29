"""Where files are: in a folder of this machine, or in an object store by their address: gs://bucket/run, s3://bucket/run.

`place` gives a path of either kind, with pathlib's methods. A path without "://" is a plain `pathlib.Path`, and nothing
about it changes. An address is a `RemotePath`; TensorFlow's own file systems open it (gs://, ram://, …), or fsspec's
(s3://). What keeps a kill from leaving half a thing differs:

                            on this machine                       in an object store
    a file is whole         temporary sibling, then `rename`      is put as one object: it is there whole, or not
    a folder is whole       hidden sibling, then `rename`         the file by which it is known is put last; what is
                                                                  there is not replaced
    a folder is moved       `rename`                              every file is copied, then every one is removed
    a line is appended      `open("a")`                           the file is put anew, with the line
    one writer at a time    a lock of the operating system        nothing: a warning says so
    a file has two names    `link`                                a copy
"""

import glob
import os
import pathlib
import re

from deeplab_ksac.storage.remote import RemotePath

__all__ = ["Place", "RemotePath", "absolute", "exists", "is_remote", "local", "matching", "place", "real"]

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
BROKEN = re.compile(r"(gs|s3|ram|az|abfs|hdfs):/(?!/)")  # what pathlib makes of an address
Place = pathlib.Path | RemotePath


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is the address of something in an object store."""
    text = os.fspath(path)
    return isinstance(text, str) and ADDRESS.match(text) is not None


def place(path: str | os.PathLike) -> Place:
    """The path of a file or folder, wherever it is.

    Example:
        place("runs/scenes") / "metrics.jsonl"          # a pathlib.Path
        place("gs://bucket/scenes") / "metrics.jsonl"   # a RemotePath

    Raises:
        ValueError: an address that was made a `pathlib.Path`, which has only one of its slashes.
    """
    if is_remote(path):
        return path if isinstance(path, RemotePath) else RemotePath(os.fspath(path))
    if isinstance(path, pathlib.PurePath) and BROKEN.match(os.fspath(path)):
        raise ValueError(f"{path} was an address before it became a pathlib.Path; give it as text, with both slashes")
    return pathlib.Path(path)


def local(path: str | os.PathLike, what: str) -> pathlib.Path:
    """The path of what can only be on this machine.

    Raises:
        ValueError: an address; the message says of what.
    """
    if is_remote(path):
        raise ValueError(f"{what} must be on this machine, not at the address {os.fspath(path)}; name a place here")
    return place(path)


def absolute(path: str | os.PathLike) -> Place:
    """The path from the root, without "..": what is on this machine as `os.path.abspath`; an address is one already."""
    return place(path) if is_remote(path) else pathlib.Path(os.path.abspath(path))


def real(path: str | os.PathLike) -> Place:
    """The path from the root, without links; a circle of links stays as it is."""
    return place(path) if is_remote(path) else pathlib.Path(os.path.realpath(path))


def exists(path: str | os.PathLike) -> bool:
    """Whether there is a file or folder; no name that a file system does not take is one."""
    return place(path).exists() if is_remote(path) else os.path.exists(path)


def matching(pattern: str) -> list[Place]:
    """What a pattern names, sorted; `**` crosses folders, but not in an object store.

    In an address the scheme and the bucket are no pattern.
    """
    if not is_remote(pattern):
        return [pathlib.Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    scheme, bucket, *names = RemotePath(pattern).parts
    return sorted(RemotePath(scheme + bucket).glob("/".join(names)))
