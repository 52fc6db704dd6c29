"""Which checkpoints are complete: each is sealed with the checksums of its files once all of them are written."""

import hashlib
import json
import logging
import os
import pathlib
import re

from deeplab_ksac.whole_files import write_whole

LOG = logging.getLogger(__name__)
SEAL = ".seal"
_verdicts = {}  # of files that have not changed since, so that following a run does not read them again and again


def checkpoint_prefix(folder: str | os.PathLike, step: int) -> str:
    """What the names of a checkpoint's files begin with."""
    return str(pathlib.Path(folder) / f"ckpt-{step}")


def seal(prefix: str) -> None:
    """Writes the seal of a checkpoint whose files are complete."""
    sums = {path.name: _sha256(path) for path in _files(prefix)}
    write_whole(prefix + SEAL, json.dumps(sums, indent=1) + "\n")
    _verdicts[prefix, _stamp(prefix)] = None


def steps_in(folder: str | os.PathLike) -> list[int]:
    """The steps of all checkpoints in a folder, complete or not, in order."""
    names = (path.name for path in pathlib.Path(folder).glob("ckpt-*"))
    return sorted({int(match[1]) for name in names if (match := re.match(r"ckpt-(\d+)(\.|_temp)", name))})


def whole_steps(folder: str | os.PathLike) -> list[int]:
    """The steps of those checkpoints in a folder that are whole, in order; the files of all of them are read."""
    return [step for step in steps_in(folder) if damage(checkpoint_prefix(folder, step)) is None]


def newest_whole(folder: str | os.PathLike) -> int | None:
    """The step of the newest complete checkpoint in a folder, or None; skipped ones are named in the log."""
    for step in reversed(steps_in(folder)):
        problem = damage(checkpoint_prefix(folder, step))
        if problem is None:
            return step
        LOG.warning(
            "the checkpoint of step %d in %s is left out: %s; the one before it is taken", step, folder, problem
        )
    return None


def damage(prefix: str) -> str | None:
    """What is wrong with a checkpoint; None if it is whole."""
    stamp = _stamp(prefix)
    if (prefix, stamp) not in _verdicts:
        _verdicts[prefix, stamp] = _damage(pathlib.Path(prefix + SEAL), _files(prefix))
    return _verdicts[prefix, stamp]


def remove(prefix: str) -> None:
    """Removes a checkpoint: the seal first, so that what is left of it at any moment does not count."""
    pathlib.Path(prefix + SEAL).unlink(missing_ok=True)
    for path in _files(prefix):
        path.unlink(missing_ok=True)


def _damage(path, files):
    if not path.is_file():
        return "it was not written completely"
    try:
        sums = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return f"{path.name} cannot be read"
    if sorted(sums) != [file.name for file in files]:
        return f"it has the files {', '.join(file.name for file in files)}, and was sealed with {', '.join(sums)}"
    wrong = [file.name for file in files if _sha256(file) != sums[file.name]]
    return f"{wrong[0]} does not have its checksum" if wrong else None


def _stamp(prefix):
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(prefix, SEAL))


def _files(prefix, *more):
    path = pathlib.Path(prefix)
    kinds = (".index", ".data-*", *more)
    return sorted(found for kind in kinds for found in path.parent.glob(path.name + kind))


def _sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
