"""Augmentations of one's own: functions (example, seed) -> example that are applied to a training crop after all else.

An example is {"image": float32 [h, w, C], 0…255, "labels": uint8 [h, w], 0…K−1 and 255}, and comes back with the same
shapes and types. It is a graph that is made: TensorFlow's operations, `tf.cond` in place of `if`. All that is random
comes from the seed, two integers that belong to the example's position in the run, by `tf.random.stateless_…`; so a run
that goes on sees what the run without an interruption sees.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.datasets.info import IGNORE_LABEL

Example = Mapping[str, tf.Tensor]
Augmentation = Callable[[Example, tf.Tensor], Example]
FIRST_STREAM = 2  # by which the seeds differ from those of scale, crop and flip, and of the distortions


def apply_own(
    example: Example, seed: tf.Tensor, augmentations: Sequence[Augmentation], *, num_classes: int
) -> Mapping[str, tf.Tensor]:
    """The example after all of the functions, one after another, each with a seed of its own.

    Args:
        example: the crop.
        seed: two integers, of the example.
        augmentations: the functions.
        num_classes: K.

    Raises:
        ValueError: a function gives something else than such an example.
        tf.errors.InvalidArgumentError: when computed, a function gives a label that is none of the classes.
    """
    for index, augmentation in enumerate(augmentations):
        own_seed = tf.random.experimental.stateless_fold_in(seed, FIRST_STREAM + index, alg="philox")
        changed = augmentation(dict(example), own_seed)
        where = f"augmentations[{index}]"
        _check(example, changed, where)
        labels = changed["labels"]
        beyond = tf.reduce_max(tf.where(labels == IGNORE_LABEL, tf.zeros_like(labels), labels))
        known = tf.debugging.Assert(
            tf.cast(beyond, tf.int32) < num_classes, [f"{where} gives the label", beyond, "of", num_classes, "classes"]
        )
        with tf.control_dependencies([known]):
            example = {"image": tf.identity(changed["image"]), "labels": tf.identity(labels)}
    return example


def _check(example, changed, where):
    """Makes sure that what a function gives has the names, types and shapes of the example that it got."""
    if not isinstance(changed, Mapping) or set(changed) != set(example):
        given = f"{{{', '.join(map(str, changed))}}}" if isinstance(changed, Mapping) else type(changed).__name__
        raise ValueError(f"{where} must give {{{', '.join(example)}}}, not {given}")
    for name, before in example.items():
        after = changed[name]
        if not tf.is_tensor(after) or after.dtype != before.dtype or not after.shape.is_compatible_with(before.shape):
            wanted = f"{before.dtype.name} {before.shape.as_list()}"
            given = f"{after.dtype.name} {after.shape.as_list()}" if tf.is_tensor(after) else type(after).__name__
            raise ValueError(f"{where} must give {name!r} as {wanted}, as it got it, not {given}")
