"""What will make a training disappoint, as far as it is known before the first step: sentences for who starts it."""

import math
import os
from collections.abc import Iterable, Sequence

import numpy as np

import deeplab_ksac.keras2  # noqa: F401 - chosen before the layers are loaded
from deeplab_ksac.arguments import in_interval
from deeplab_ksac.datasets.findings import find_useless_labels, named_absent
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.sizes import sample_sizes
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import Experiment, Stage
from deeplab_ksac.layers.norm import BatchNorm

STALE = 0.05  # largest share that initial statistics may have in moving averages


def forewarnings(
    experiment: Experiment, data_dir: str | os.PathLike, *, replicas: int = 1, trained_before: bool = False
) -> list[str]:
    """What is probably wrong with an experiment on its data, a list of sentences; empty where nothing is.

    Args:
        experiment: what is to be trained.
        data_dir: where converted data sets are.
        replicas: over which a batch is divided.
        trained_before: whether the weights are another run's, and with them the statistics of normalization. Published
            weights of a backbone do not count: the head's statistics are new.

    Raises:
        DatasetError: a data set is missing or damaged.
    """
    splits = dict.fromkeys(Split.parse(source) for stage in experiment.stages for source in stage.data.sources)
    found = about_labels(splits, data_dir)
    found += [] if trained_before else about_statistics(experiment)
    for index, stage in enumerate(experiment.stages):
        found += about_single_pictures(experiment, index, replicas)
        found += about_crop(stage, index, sample_sizes(stage.data.sources, data_dir))
    return found


def about_labels(splits: Iterable[Split], data_dir: str | os.PathLike) -> list[str]:
    """Labels of the training splits from which nothing can be learned, and classes that are in none of these splits."""
    counts, useless, names = {}, [], ()
    for split in splits:
        info = load_info(split.dataset, data_dir)
        useless += find_useless_labels(info, [split.name])
        names = info.class_names
        if split.name in info.pixel_counts:
            counts[split] = np.array(info.pixel_counts[split.name])
    if useless or len({len(values) for values in counts.values()}) != 1:  # of other classes is an error of its own
        return list(dict.fromkeys(useless))
    absent = np.flatnonzero(sum(counts.values()) == 0)
    where = ", ".join(map(str, counts))
    return [f"{where}: {named_absent(absent, names)}; nothing can be learned of these"] if len(absent) else []


def about_statistics(experiment: Experiment) -> list[str]:
    """Moving averages of batch normalization that at the end still hold much of what they were initialized with.

    Where no stage updates them, training uses them as evaluation does, and nothing is wrong.
    """
    momentum = experiment.model.norm.get("momentum", BatchNorm.momentum)
    updating = [stage for stage in experiment.stages if not _keeps_statistics(experiment, stage)]
    updates = sum(stage.steps * stage.accumulate for stage in updating)
    if not updates or not in_interval(momentum, "[0, 1)") or momentum**updates <= STALE:
        return []
    return [
        f"after {updates} updates at momentum {momentum} the moving averages of batch normalization, which evaluation "
        f"uses, still hold {momentum**updates:.0%} of their initial values; train longer, or set model.norm.momentum "
        f"to {sufficient_momentum(updates)} or less"
    ]


def _keeps_statistics(experiment, stage):
    return stage.freeze_norm or bool(experiment.model.norm.get("fixed", BatchNorm.fixed))


def sufficient_momentum(updates: int) -> float:
    """The largest momentum m that forgets all but 5 % of the initial statistics in so many updates: mⁿ ≤ 0.05.

    1 − m has two digits.
    """
    largest = STALE ** (1 / updates)
    unit = 10 ** (1 - math.floor(math.log10(1 - largest)))
    return math.floor(largest * unit) / unit


def about_single_pictures(experiment: Experiment, index: int, replicas: int) -> list[str]:
    """Batch normalization that takes the statistics of a single picture.

    Synchronized, it takes them of all replicas' pictures; accumulation divides a batch into parts.
    """
    stage = experiment.stages[index]
    apart = 1 if experiment.model.norm.get("synchronized", BatchNorm.synchronized) else replicas
    if _keeps_statistics(experiment, stage):
        return []
    if stage.batch_size // (stage.accumulate * apart) > 1:
        return []
    parts = [f"batch_size {stage.batch_size}"]
    parts += [f"accumulate {stage.accumulate}"] * (stage.accumulate > 1)
    parts += [f"{replicas} replicas that do not share their statistics"] * (apart > 1)
    return [
        f"stages[{index}]: batch normalization takes its statistics of one picture at a time ({', '.join(parts)}), "
        "which are not those of evaluation; take more pictures at a time"
    ]


def about_crop(stage: Stage, index: int, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """A crop that is larger than each picture at its largest scale, so that every example is padded on two sides."""
    height, width = stage.data.crop_size
    largest = max(stage.data.scales)
    scaled = [(int(largest * rows), int(largest * columns)) for rows, columns in sizes]
    if any(rows >= height or columns >= width for rows, columns in scaled):
        return []
    rows, columns = map(max, zip(*scaled, strict=True))
    return [
        f"stages[{index}].data: none of {len(sizes)} pictures that were looked at fills a crop of {height}x{width}: "
        f"at the largest scale, {largest:g}, they are at most {rows}x{columns}, and the rest is padding; take a "
        "smaller crop_size"
    ]
