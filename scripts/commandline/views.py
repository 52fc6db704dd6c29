"""How a model sees its images: the flags for scales, flip, window …, with the experiment's own as the default."""

import dataclasses

from absl import flags

from deeplab_ksac.experiment import AVERAGES, Views


def define_flags():
    """--scales, --flip, --window, --pad_to, --average; without a flag, the experiment's value is used."""
    flags.DEFINE_list("scales", None, "scales to average over, such as 0.75,1,1.25 (default: the experiment's)")
    flags.DEFINE_bool("flip", None, "average with the mirrored image (default: the experiment's)")
    flags.DEFINE_string("window", None, "sliding window in pixels: side or height x width (default: the experiment's)")
    flags.DEFINE_string(
        "pad_to", None, "smaller images are filled up to this side or height x width (default: the experiment's)"
    )
    flags.DEFINE_enum("average", None, AVERAGES, "what is averaged over scales and flip (default: the experiment's)")


def chosen(views: Views, given) -> Views:
    """An experiment's views with those that are given as flags; the flags' "none" takes a window or padding away.

    Raises:
        ValueError: for scales or sides that are not numbers, or make no sense.
    """
    changes = {
        "scales": None if given.scales is None else numbers(given.scales),
        "flip": given.flip,
        "average": given.average,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    for name in ("window", "pad_to"):
        if getattr(given, name) is not None:
            changes[name] = sides(name, getattr(given, name))
    return dataclasses.replace(views, **changes)


def sides(name, text):
    """(height, width) of "513" or "1025x2049"; None of "none".

    Raises:
        ValueError: naming what is neither.
    """
    if text == "none":
        return None
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"--{name} must be pixels, such as 513 or 1025x2049, or none, not {text!r}")
    return int(parts[0]), int(parts[-1])


def numbers(texts):
    """Numbers from the parts of a comma list.

    Raises:
        ValueError: naming what is not a number.
    """
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"--scales must be numbers separated by commas, not {','.join(texts)!r}") from None
