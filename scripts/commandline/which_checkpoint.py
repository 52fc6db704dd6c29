"""--checkpoint: which of a run's checkpoints a command takes."""

from deeplab_ksac.runs.places import BEST, NEWEST
from deeplab_ksac.scripts.commandline import values


def define_flag():
    """--checkpoint: "newest", "best" (by the validation mIoU during training), or a step."""
    values.whole_number_or_word(
        "checkpoint", NEWEST, "which checkpoint: newest, best (by validation mIoU), or its step", (NEWEST, BEST)
    )
