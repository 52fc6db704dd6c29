"""What a command computes on: --memory_growth, and a warning where a GPU is not used."""

import sys

from absl import flags


def define_flags():
    """--memory_growth."""
    flags.DEFINE_bool("memory_growth", True, "take GPU memory as it is needed, not all of it at the start")


def prepare(given) -> str:
    """Makes the devices ready as the flags say, before TensorFlow uses them, and warns of a GPU that is not used.

    Returns:
        What they are, for the command's first line.
    """
    from deeplab_ksac import devices

    devices.set_memory_growth(given.memory_growth)
    if reason := devices.why_no_gpu():
        print(f"WARNING: {reason}", file=sys.stderr)
    return devices.describe()
