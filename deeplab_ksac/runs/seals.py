"""Which checkpoints are complete: each is sealed with the checksums of its files once all of them are written."""

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping

from deeplab_ksac.errors import printable
from deeplab_ksac.json_files import read_object
from deeplab_ksac.runs.checkpoint_files import files_of
from deeplab_ksac.storage import is_remote, place
from deeplab_ksac.storage.copies import upload
from deeplab_ksac.whole_files import checksum, remove_partial, write_whole
from deeplab_ksac.whole_files import remove as remove_whole

LOG = logging.getLogger(__name__)
SEAL = ".seal"
PIECE = re.compile(r"ckpt-([0-9]+)(\.index|\.data-.*|\.seal|_temp)")
_verdicts = {}  # of files that have not changed since, so that following a run does not read them again and again


def checkpoint_prefix(folder: str | os.PathLike, step: int) -> str:
    """What the names of a checkpoint's files begin with."""
    return str(place(folder) / f"ckpt-{step}")


def checksums(prefix: str) -> dict[str, str]:
    """{name: SHA-256} of a checkpoint's files."""
    return {path.name: checksum(path) for path in files_of(prefix)}


def seal(prefix: str, sums: Mapping[str, str] | None = None) -> None:
    """Writes the seal of a checkpoint whose files are complete.

    Args:
        prefix: of the checkpoint.
        sums: `checksums` of its files where they were written, before they were put into an object store: another
            training may have written over them since. None for those that are there.
    """
    write_whole(prefix + SEAL, json.dumps(checksums(prefix) if sums is None else dict(sums), indent=1) + "\n")
    stamp = _stamp(prefix)
    if _tells(stamp):
        _verdicts[prefix, stamp] = None


def duplicate(prefix: str, folder: str | os.PathLike) -> None:
    """Gives a sealed checkpoint a second place, the seal last: by links, or copies where the file system has none."""
    folder = place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    remove(str(folder / place(prefix).name))
    for path in (*files_of(prefix), place(prefix + SEAL)):
        if is_remote(folder):
            upload(path, folder / path.name)
            continue
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copyfile(path, folder / path.name)


def steps_in(folder: str | os.PathLike) -> list[int]:
    """The steps of all checkpoints in a folder, complete or not, in order."""
    names = (path.name for path in place(folder).glob("ckpt-*"))
    numbers = {match[1] for name in names if (match := PIECE.fullmatch(name))}
    return sorted(int(number) for number in numbers if number == str(int(number)))


def whole_steps(folder: str | os.PathLike) -> list[int]:
    """The steps of those checkpoints in a folder that are whole, in order; the files of all of them are read."""
    return [step for step in steps_in(folder) if damage(checkpoint_prefix(folder, step)) is None]


def newest_whole(folder: str | os.PathLike) -> int | None:
    """The step of the newest complete checkpoint in a folder, or None; skipped ones are named in the log."""
    skipped, found = {}, None
    for step in reversed(steps_in(folder)):
        problem = damage(checkpoint_prefix(folder, step))
        if problem is None:
            found = step
            break
        skipped[step] = problem
    instead = "there is no whole one before it" if found is None else "the one before it is taken"
    for step, problem in skipped.items():
        LOG.warning("the checkpoint of step %d in %s is left out: %s; %s", step, folder, problem, instead)
    return found


def damage(prefix: str) -> str | None:
    """What is wrong with a checkpoint; None if it is whole."""
    stamp = _stamp(prefix)
    if (prefix, stamp) not in _verdicts:
        found = _damage(place(prefix + SEAL), files_of(prefix))
        if not _tells(stamp):
            return found
        _verdicts[prefix, stamp] = found
    return _verdicts[prefix, stamp]


def damages(folder: str | os.PathLike) -> dict[int, str]:
    """{step: what is wrong} of the checkpoints in a folder that are not whole, the newest first."""
    steps = reversed(steps_in(folder))
    return {step: problem for step in steps if (problem := damage(checkpoint_prefix(folder, step))) is not None}


def is_sealed(prefix: str) -> bool:
    """Whether a checkpoint was complete once."""
    path = place(prefix + SEAL)
    return path.is_symlink() or path.exists()


def remove(prefix: str) -> None:
    """Removes a checkpoint: the seal first, so that what is left of it at any moment does not count."""
    place(prefix + SEAL).unlink(missing_ok=True)
    for path in files_of(prefix):
        path.unlink(missing_ok=True)


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Removes what killed saves have left in a folder, and says so; nobody may be saving there meanwhile."""
    for step in steps_in(folder):
        prefix = checkpoint_prefix(folder, step)
        left = [path for path in (*files_of(prefix), place(f"{prefix}_temp")) if path.exists()]
        if is_sealed(prefix):
            left = [path for path in left if path.name.endswith("_temp")]
        else:
            LOG.warning("the checkpoint of step %d in %s was not written completely; it is removed", step, folder)
        for path in left:
            remove_whole(path)
    remove_partial(folder, alone=True)


def _damage(path, files):
    if not path.is_file():
        return "it was not written completely"
    try:
        sums = read_object(path)
    except (OSError, ValueError):
        return f"{path.name} cannot be read"
    if not files or sorted(sums) != [file.name for file in files]:
        there = ", ".join(file.name for file in files) or "none"
        return f"it has the files {there}, and was sealed with {', '.join(map(printable, sums)) or 'none'}"
    for file in files:
        try:
            if checksum(file) != sums[file.name]:
                return f"{file.name} does not have its checksum"
        except OSError as error:
            return f"{file.name} cannot be read: {error.strerror or error}"
    return None


def _stamp(prefix):
    return tuple((path.name, *_state(path)) for path in files_of(prefix, SEAL))


def _tells(stamp):
    """Whether a stamp differs where the files do: a store may not say when a file was written."""
    return all(state and state[1] for _, *state in stamp)


def _state(path):
    try:
        status = path.stat()
    except OSError:  # a link to nothing
        return ()
    return status.st_size, status.st_mtime_ns
