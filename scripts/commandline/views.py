"""How a model sees its images: the flags for scales, flip, window …, with the experiment's own as the default."""

import dataclasses

from absl import flags

from deeplab_ksac.experiment import AVERAGES, Views
from deeplab_ksac.scripts.commandline import values


def define_flags():
    """--scales, --flip, --window, --pad_to, --average; without a flag, the experiment's value is used."""
    values.scales("scales", None, "scales to average over, such as 0.75,1,1.25 (default: the experiment's)")
    flags.DEFINE_bool("flip", None, "average with the mirrored image (default: the experiment's)")
    values.sides("window", None, "sliding window in pixels: side or height x width (default: the experiment's)")
    values.sides(
        "pad_to", None, "smaller images are filled up to this side or height x width (default: the experiment's)"
    )
    flags.DEFINE_enum("average", None, AVERAGES, "what is averaged over scales and flip (default: the experiment's)")


def chosen(views: Views, given) -> Views:
    """An experiment's views with those that are given as flags; the flags' "none" takes a window or padding away."""
    names = ("scales", "flip", "window", "pad_to", "average")
    changes = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return dataclasses.replace(
        views, **{name: None if value == values.NONE else value for name, value in changes.items()}
    )
