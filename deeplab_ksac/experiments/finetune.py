"""`finetune`: one stage on a user's own pictures, derived from how many there are and how large."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from deeplab_ksac.datasets.info import ConvertedInfo, DatasetError
from deeplab_ksac.experiment import EvalSpec, Experiment, ModelSpec, Views
from deeplab_ksac.experiments import animals

FINETUNE = "finetune"
START = animals.KSAC.name  # a model that comes with this package
RECIPE = animals.KSAC.stages[0]  # which has the longest crop, the largest batch and the most steps, too
CELL = 16  # pixels a side that one of the network's outputs stands for, before its decoder
LARGE, SEEN_AS = 640, 480  # pictures with a longer shorter side are seen with one of so many pixels
MIXED = 0.25  # share of portrait or of landscape pictures from which on a crop is to hold both
EPOCHS, FEWEST_STEPS = 50, 400
WEIGHTS = ("model", "backbone", "random")  # what has learned before: all of the network, its backbone, nothing
VALIDATION = ("val", "valid", "validation", "test")
VALIDATED = 100  # pictures of an evaluation during training


class Derived(NamedTuple):
    """A value that follows from a data set: the path of its field, the value, and why it is that."""

    path: str
    value: Any
    reason: str


def finetune(
    info: ConvertedInfo,
    sizes: Sequence[tuple[int, int]],
    *,
    split: str | None = None,
    model: ModelSpec = animals.KSAC.model,
    weights: str = "model",
    replicas: int = 1,
) -> tuple[Experiment, tuple[Derived, ...]]:
    """The experiment that fine-tunes a model on a data set, and what in it was derived.

    Pictures whose shorter side is above 640 pixels (the median of all) are seen at a scale that makes it about 480, in
    training and in evaluation. Crops hold a whole picture, or 321 pixels of a side; where at least a quarter of the
    pictures is in portrait and a quarter in landscape orientation, a square holds both. There are 50 epochs, but 400
    steps at least and 5,000 at most. A batch has 8 pictures, or the next number that the replicas can share evenly.
    Pictures that are no RGB keep their colors. A random backbone learns as fast as its head. Where a head is random,
    normalization's moving averages reach over a twentieth of the steps at most; longer ones would be those of other
    weights.

    Args:
        info: of the converted data set.
        sizes: (height, width) in pixels of its training pictures, or of some of them.
        split: what is trained on; by default `split_to_train`'s.
        model: what is trained.
        weights: what of it has learned before, of `WEIGHTS`.
        replicas: how many share a batch.

    Raises:
        DatasetError: the data set has no such split, or none to validate with.
        ValueError: other `weights`.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    train = split_to_train(info, split)
    validation = split_to_validate(info, train)
    number = info.num_examples[train]
    shapes = _shapes(sizes)
    shorter = min(shapes[0])
    scale = 1.0 if shorter <= LARGE else round(SEEN_AS / shorter, 3)
    longest = RECIPE.data.crop_size
    held = (max(sides) for sides in zip(*shapes, strict=True))
    crop = tuple(min(most, _in_cells(scale * side)) for most, side in zip(longest, held, strict=True))
    batch = math.ceil(min(RECIPE.batch_size, number) / replicas) * replicas
    wanted = EPOCHS * number / batch
    steps = max(FEWEST_STEPS, min(RECIPE.steps, math.ceil(wanted / 100) * 100))
    scales = tuple(round(scale * factor, 4) for factor in RECIPE.data.scales)
    colors = {} if info.bands.is_rgb else {"saturation": 0.0, "hue": 0.0}
    data = dataclasses.replace(RECIPE.data, sources=(f"{info.name}/{train}",), crop_size=crop, scales=scales, **colors)
    averages = min(RECIPE.ema_decay, 1 - 5 / steps)  # over a fifth of the steps at most
    stage = dataclasses.replace(RECIPE, data=data, steps=steps, batch_size=batch, ema_decay=averages)
    model, stage, begun = _begun(model, stage, weights)
    experiment = Experiment(
        name=f"{FINETUNE}_{info.name}",
        model=model,
        stages=(stage,),
        evaluation=EvalSpec(f"{info.name}/{validation}", Views(scales=(scale,))),
        checkpoint_every=steps // 8,
        evaluate_every=steps // 4,
        evaluate_images=VALIDATED if info.num_examples[validation] > VALIDATED else 0,
    )
    seen = f"pictures are about {' or '.join('{:g}x{:g}'.format(*shape) for shape in shapes)}"
    return experiment, (
        Derived("stages[0].data.sources", f"{info.name}/{train}", f"{number} pictures"),
        Derived("evaluation.dataset", f"{info.name}/{validation}", f"{info.num_examples[validation]} pictures"),
        Derived("stages[0].data.crop_size", crop, seen),
        Derived("stages[0].data.scales", scales, f"seen at {scale:g} of their size" if scale != 1 else seen),
        Derived("evaluation.views.scales", (scale,), "as in training"),
        Derived("stages[0].batch_size", batch, f"{number} pictures" + (f", {replicas} replicas" * (replicas > 1))),
        Derived("stages[0].steps", steps, f"{steps * batch / number:.0f} epochs"),
        *begun,
        *(Derived(f"stages[0].data.{name}", 0.0, f"pictures of {info.bands.describe()}") for name in colors),
    )


def split_to_train(info: ConvertedInfo, split: str | None = None) -> str:
    """The split that is trained on: the one asked for, or "train", or the first that is not for validation or tests.

    Raises:
        DatasetError: the data set does not have it.
    """
    others = [name for name in info.num_examples if name.lower() not in VALIDATION]
    train = split or next(iter([name for name in others if name.lower() == "train"] or others or info.num_examples))
    if train not in info.num_examples:
        raise DatasetError(f"{info.name} has no split {train!r}; it has {', '.join(info.num_examples)}")
    return train


def split_to_validate(info: ConvertedInfo, train: str) -> str:
    """The split to validate with what `train` has trained: "val", "valid", "validation", "test", or another.

    Raises:
        DatasetError: there is no other split.
    """
    others = {name.lower(): name for name in info.num_examples if name != train}
    for name in (*VALIDATION, *others):
        if name in others:
            return others[name]
    raise DatasetError(
        f"{info.name} has the split {train} alone and nothing to validate with; convert it with a second one "
        "(--val_share=0.2 takes a fifth)"
    )


def _begun(model, stage, weights):
    """The model and the stage as these weights want them, and what was derived for that."""
    derived = []
    if weights == "random":
        optimizer = dataclasses.replace(stage.optimizer, args={**stage.optimizer.args, "backbone_lr": 1.0})
        stage = dataclasses.replace(stage, optimizer=optimizer)
        derived.append(Derived("stages[0].optimizer.args.backbone_lr", 1.0, "random weights"))
    if weights != "model":
        momentum = min(model.norm.get("momentum", 1.0), round(1 - 20 / stage.steps, 4))
        model = dataclasses.replace(model, norm={**model.norm, "momentum": momentum})
        derived.append(Derived("model.norm.momentum", momentum, f"{stage.steps} steps"))
    return model, stage, derived


def _shapes(sizes):
    """What pictures are like: (height, width) of the median sides, in landscape and portrait where there are both."""
    shorter, longer = (statistics.median(map(side, sizes)) for side in (min, max))
    portrait = sum(height > width for height, width in sizes) / len(sizes)
    shapes = [(shorter, longer)] if portrait <= 1 - MIXED else []
    return shapes + ([(longer, shorter)] if portrait >= MIXED else [])


def _in_cells(side):
    """The smallest 16 n + 1 that is not below a side in pixels: sizes at which corners stay aligned at every stride."""
    return CELL * max(1, math.ceil((side - 1) / CELL)) + 1
