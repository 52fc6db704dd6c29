"""What is in an object store, on this machine, and the other way round: for what opens files of this machine alone."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from deeplab_ksac.storage import Place, RemotePath, is_remote, place

BLOCK = 16 << 20  # bytes that are copied at a time
AT_ONCE = 8  # files
CACHE = "XDG_CACHE_HOME"  # the variable that says where copies are kept


@contextlib.contextmanager
def on_this_machine(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """The path of a file of this machine: itself, or of a file in an object store a copy, gone afterwards.

    Raises:
        FileNotFoundError: there is none in the store.
    """
    with several_on_this_machine([path]) as (copy,):
        yield copy


@contextlib.contextmanager
def several_on_this_machine(paths: Sequence[str | os.PathLike]) -> Iterator[list[pathlib.Path]]:
    """As `on_this_machine`, for files of one folder: their copies are in one folder, too."""
    if not any(map(is_remote, paths)):
        yield [pathlib.Path(path) for path in paths]
        return
    with tempfile.TemporaryDirectory(prefix="copy_") as folder:
        yield [download(path, pathlib.Path(folder, place(path).name)) for path in paths]


def kept_on_this_machine(path: str | os.PathLike, beside: Sequence[str] = ()) -> pathlib.Path:
    """As `on_this_machine`, but a copy stays: it is taken again as long as the store says the same size and time.

    Copies are in `deeplab_ksac` in the folder that XDG_CACHE_HOME names, or in ~/.cache; they may be removed.

    Args:
        path: of the file.
        beside: names of files beside it that are copied with it where they are there.
    """
    if not is_remote(path):
        return pathlib.Path(path)
    remote = place(path)
    found = {name: state for name in beside if (state := remote.files.stat(str(remote.with_name(name)))) is not None}
    found[remote.name] = remote.stat()
    said = [f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in found.items()]
    key = hashlib.sha256("\n".join([str(remote), *said]).encode()).hexdigest()[:32]
    folder = pathlib.Path(os.environ.get(CACHE) or pathlib.Path.home() / ".cache", "deeplab_ksac", key)
    for name, state in found.items():
        copy = folder / name
        if copy.is_file() and copy.stat().st_size == state.st_size and state.st_mtime_ns:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{secrets.token_hex(4)}.partial"
        try:
            os.replace(download(remote.with_name(name), partial), copy)
        finally:
            partial.unlink(missing_ok=True)
    return folder / remote.name


def for_tensorflow(paths: Sequence[str | os.PathLike]) -> list[str]:
    """The files as TensorFlow opens them: as they are where it can, else their copies, as `kept_on_this_machine`."""
    if all(map(tensorflow_opens, paths)):
        return list(map(str, paths))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        return list(map(str, threads.map(kept_on_this_machine, paths)))


def tensorflow_opens(path: str | os.PathLike) -> bool:
    """Whether TensorFlow reads and writes there by itself."""
    if not is_remote(path):
        return True
    from deeplab_ksac.storage.of_tensorflow import SCHEMES  # seconds that a local path does not need

    return place(path).scheme in SCHEMES


def download(source: str | os.PathLike, target: pathlib.Path) -> pathlib.Path:
    """Copies a file to this machine; the target."""
    with contextlib.closing(place(source).open("rb")) as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK)
    return target


def upload(source: str | os.PathLike, target: RemotePath) -> None:
    """Puts a file of this machine, or of a store, into a store: it is there whole, or not."""
    with contextlib.closing(place(source).open("rb")) as stream:
        target.files.put(str(target), stream)


def upload_folder(source: pathlib.Path, target: RemotePath, last: Sequence[str] = ()) -> None:
    """Puts all files of a folder into a store.

    Args:
        source: a folder of this machine.
        target: where its files go.
        last: those by which a reader knows that all are there, in their order; they are put after the others.
    """
    found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
    for name in (*(name for name in found if name not in last), *(name for name in last if name in found)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        upload(found[name], target / name)


class Mirror:
    """A folder of this machine whose files are put into a store again and again, as they grow.

    Attributes:
        here: the folder.
    """

    def __init__(self, target: RemotePath):
        self._folder = tempfile.TemporaryDirectory(prefix="mirror_")
        self.here, self.target, self._put = pathlib.Path(self._folder.name), target, {}

    def update(self) -> None:
        """Puts the files that have grown."""
        for path in sorted(self.here.iterdir()):
            size = path.stat().st_size
            if self._put.get(path.name) != size:
                upload(path, self.target / path.name)
                self._put[path.name] = size


def move_folder(source: Place, target: Place) -> None:
    """Gives a folder another place in the same file system or store.

    In a store a kill leaves all of it at its old place, or all of it at the new one and some of it at the old.
    """
    if not is_remote(source):
        source.rename(target)
        return
    names = [path.relative_to(source).as_posix() for path in source.rglob("*")]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        upload(source / name, target / name)
    for name in names:
        (source / name).unlink()
    remove_folder(source)


def remove_folder(folder: Place) -> None:
    """Removes a folder with all that it holds, where it is there; what cannot be removed stays."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for path in folder.rglob("*"):
            path.unlink(missing_ok=True)
        folder.files.remove_dir(str(folder))
