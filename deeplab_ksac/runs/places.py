"""Where the checkpoints of a run are, and by which words one is chosen."""

import os
import re
from typing import Literal

from deeplab_ksac.storage import Place, place

NEWEST, BEST = "newest", "best"
Checkpoint = int | Literal["newest", "best"]  # a step, or one of the two words


def stage_dir(workdir: str | os.PathLike, stage: int) -> Place:
    """The folder of a stage's checkpoints and events."""
    return place(workdir) / f"stage_{stage}"


def stage_dirs(workdir: str | os.PathLike) -> list[Place]:
    """The folders of a run's stages that there are, in order."""
    found = [path for path in place(workdir).glob("stage_*") if re.fullmatch("stage_(0|[1-9][0-9]*)", path.name)]
    return sorted((path for path in found if path.is_dir()), key=stage_number)


def stage_number(folder: Place) -> int:
    """The stage of a folder of checkpoints: the reverse of `stage_dir`."""
    return int(folder.name.split("_")[1])


def checkpoint_number(path: str | os.PathLike) -> tuple[int, int]:
    """(stage, step) of …/stage_<stage>/ckpt-<step>."""
    path = place(path)
    return stage_number(path.parent), int(path.name.rsplit("-", 1)[1])
