"""A step of a head on cached features against a step of the whole network, both with the data that they are fed."""

import dataclasses
import functools
import types

from deeplab_ksac.experiment import EvalSpec, part
from deeplab_ksac.experiments.animals import ANIMALS
from deeplab_ksac.experiments.common import with_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.training import converted, stage_run

NAME, VIEWS = "cached", 2


def experiment(**changes):
    """EfficientNet-Lite0 with KSAC at output stride 16, batches of eight crops of 321×321 of generated pictures."""
    base = ANIMALS["animals_ksac_lite0"]
    data = dataclasses.replace(base.stages[0].data, sources=("scenes/train",))
    # no averages: they would be of the frozen weights too
    stage = dataclasses.replace(base.stages[0], data=data, steps=10**6, ema_decay=0.0, **changes)
    return dataclasses.replace(base, stages=(stage,), evaluation=EvalSpec("scenes/val"))


@functools.cache
def cached():
    """Caches the features of all pictures, once a process."""
    from deeplab_ksac.training.feature_caching import cache_features

    cache_features(experiment(), data_dir=converted(), name=NAME, views=VIEWS)


def steps(*, bare=False, **changes):
    """A callable that takes one step of the stage with changed fields, and the batch for it from the stage's data.

    A bare head has no decoder, and a loss of every fourth row and column (docs/claims.md).
    """
    import tensorflow as tf

    from deeplab_ksac.keras2 import keras

    planned = experiment(**changes)
    if bare:
        planned = with_model(dataclasses.replace(planned, losses=(part("cross_entropy", stride=4),)), decoder=None)
    if planned.stages[0].features:
        cached()
    keras.utils.set_random_seed(planned.seed)
    calls = stage_run(planned, tf.distribute.OneDeviceStrategy("/cpu:0")).calls(
        0, types.SimpleNamespace(timed_next=next)
    )

    def turn():
        float(next(calls)[1][-1]["loss"].numpy())

    return turn


FROZEN = {"freeze": "c5", "optimizer": dataclasses.replace(ANIMALS["animals_ksac_lite0"].stages[0].optimizer, args={})}
CASES = {
    "cached_features": Case(
        title="a step of the head on cached features, Lite0, 321×321",
        sides={
            "cached": functools.partial(steps, **FROZEN, features=NAME),
            "cached, bare head": functools.partial(steps, **FROZEN, features=NAME, bare=True),
            "frozen": functools.partial(steps, **FROZEN),
            "whole": steps,
        },
        bounds=(
            Bound("cached", "whole", None),
            Bound("cached", "frozen", None),
            Bound("cached, bare head", "whole", 0.1),
        ),
    ),
}
