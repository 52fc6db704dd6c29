"""Where the checkpoints of a run are, and by which words one is chosen."""

import os
import pathlib
import re
from typing import Literal

NEWEST, BEST = "newest", "best"
Checkpoint = int | Literal["newest", "best"]  # a step, or one of the two words


def stage_dir(workdir: str | os.PathLike, stage: int) -> pathlib.Path:
    """The folder of a stage's checkpoints and events."""
    return pathlib.Path(workdir) / f"stage_{stage}"


def stage_dirs(workdir: str | os.PathLike) -> list[pathlib.Path]:
    """The folders of a run's stages that there are, in order."""
    found = [path for path in pathlib.Path(workdir).glob("stage_*") if re.fullmatch("stage_(0|[1-9][0-9]*)", path.name)]
    return sorted(filter(pathlib.Path.is_dir, found), key=stage_number)


def stage_number(folder: pathlib.Path) -> int:
    """The stage of a folder of checkpoints: the reverse of `stage_dir`."""
    return int(folder.name.split("_")[1])


def checkpoint_number(path: str | os.PathLike) -> tuple[int, int]:
    """(stage, step) of …/stage_<stage>/ckpt-<step>."""
    path = pathlib.Path(path)
    return stage_number(path.parent), int(path.name.rsplit("-", 1)[1])
