"""What a loss can read of a model's outputs: logits, maps of features, an affinity.

A model gives logits at the image's size under names that end in "logits"; its other outputs have the features' size
(`deeplab_ksac.model.segmentation_model`).
"""

from typing import Any

import tensorflow as tf

LOGITS = "logits [N, H, W, K]"
FEATURES = "features [N, h, w, C] or a tuple of such"
AFFINITY = "an affinity [N, h, w, height, width]"


def before_resize(name: str) -> str:
    """The name under which logits also come as they were before they were brought to the image's size.

    In training only (`deeplab_ksac.model.with_small_logits`).
    """
    return f"{name}/before_resize"


def is_readable(what: str, name: str, output: Any) -> bool:
    """Whether an output of a model is what a loss reads.

    Args:
        what: `LOGITS`, `FEATURES` or `AFFINITY`.
        name: of the output.
        output: a tensor, symbolic or not, or a tuple of such.
    """
    several = isinstance(output, tuple | list)
    if what == FEATURES:
        return all(_rank(each) == 4 for each in (output if several else [output]))
    if several:
        return False
    return _rank(output) == 5 if what == AFFINITY else _rank(output) == 4 and name.endswith("logits")


def _rank(output):
    return tf.TensorShape(output.shape).rank
