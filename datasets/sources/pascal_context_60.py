"""PASCAL Context with 60 classes: `pascal_context` with what is none of its 59 classes as class 0, background."""

import dataclasses
import os

from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.raw import Examples
from deeplab_ksac.datasets.sources import pascal_context
from deeplab_ksac.datasets.sources.pascal_context import find_splits

__all__ = ["INFO", "examples", "find_splits"]

INFO = dataclasses.replace(
    pascal_context.INFO,
    name="pascal_context_60",
    class_names=("background", *pascal_context.INFO.class_names),
    colors=voc_palette(60),
    description="VOC 2010's photographs with 59 kinds of things and stuff, and background",
)


def examples(root: str | os.PathLike, split: str) -> Examples:
    """VOC 2010's images of a split with 60 classes; nothing is ignored."""
    return pascal_context.read_examples(root, split, first=1, other=0)
