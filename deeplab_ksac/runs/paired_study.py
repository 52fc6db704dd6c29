"""A study of two networks on cached features: paired by seed, with bootstrap intervals (docs/claims.md)."""

import dataclasses
import io
import json
import os
import pathlib
import statistics
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.experiment import Experiment, differences, to_dict
from deeplab_ksac.experiments.claims_on_pictures import VIEWS
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.metrics import confusion_matrix, paired
from deeplab_ksac.prediction import scores
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment
from deeplab_ksac.training.feature_caching import cache_features
from deeplab_ksac.training.initial_weights import with_backbone_weights
from deeplab_ksac.training.loop import train
from deeplab_ksac.whole_files import read_whole, remove_partial, write_whole

MATRICES_FILE = "matrices.npz"  # in the folder of a finished training
PILOT_SEEDS = (1000, 1001, 1002, 1003, 1004)  # the study uses none of them


def run_pair(
    variants: Mapping[str, Experiment],
    *,
    data_dir: str | os.PathLike,
    workdir: str | os.PathLike,
    seeds: Sequence[int],
    steps: int | None = None,
    backbone_weights: str | None = None,
    progress: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Caches the features, trains both variants with every seed, evaluates them picture by picture, and compares them.

    What was done before is not done again. Leaves paired_study.json and paired_study.md in the folder.

    Args:
        variants: two experiments by name; the second is subtracted from the first. Their features are the same.
        data_dir: where converted data sets are; the features become one beside them.
        workdir: folder for runs and results.
        seeds: one training of each variant for each of them.
        steps: optimizer steps (default: the experiments').
        backbone_weights: as `training.loop.train`.
        progress: as `training.loop.train`.

    Returns:
        What `compare` gives, with "seconds": those of each training that was not interrupted.

    Raises:
        ValueError: the folder holds runs of another configuration; or as `cache_features` and `train`.
        OSError: as they.
    """
    workdir, matrices, seconds = pathlib.Path(workdir), {name: [] for name in variants}, []
    planned = {
        (name, seed): dataclasses.replace(
            experiment if steps is None else with_stage(experiment, steps=steps), seed=seed
        )
        for name, experiment in variants.items()
        for seed in seeds
    }
    folders = {key: workdir / f"{experiment.name}_seed{experiment.seed}" for key, experiment in planned.items()}
    for key, experiment in planned.items():
        _check(folders[key], with_backbone_weights(experiment, backbone_weights, folders[key]))
    first = next(iter(variants.values()))
    cached = {"name": first.stages[0].features, "views": VIEWS, "backbone_weights": backbone_weights}
    cache_features(first, data_dir=data_dir, **cached, progress=progress)
    for (name, _), experiment in planned.items():
        folder = folders[name, experiment.seed]
        if not (folder / MATRICES_FILE).exists():
            fresh, begun = not folder.exists(), time.perf_counter()
            options = {"backbone_weights": backbone_weights, "evaluates": False, "progress": progress}
            train(experiment, data_dir=data_dir, workdir=folder, **options)
            seconds += [time.perf_counter() - begun] if fresh else []
            _write_matrices(folder, picture_matrices(folder, experiment, data_dir))
        matrices[name].append(_read_matrices(folder / MATRICES_FILE))
    result = {**compare({name: np.stack(each) for name, each in matrices.items()}, seeds), "seconds": seconds}
    remove_partial(workdir, ["paired_study.json", "paired_study.md"])
    write_whole(workdir / "paired_study.json", json.dumps(result, indent=1) + "\n")
    write_whole(workdir / "paired_study.md", as_markdown(result) + "\n")
    return result


def _check(folder, experiment):
    """Raises ValueError if the folder holds a run of another configuration, such as one of other steps."""
    if not (folder / EXPERIMENT_FILE).exists():
        return
    changed = differences(to_dict(read_experiment(folder)), to_dict(experiment))
    if changed:
        raise ValueError(f"{folder} holds another run than this study's: {'; '.join(changed)}; take another workdir")


def picture_matrices(workdir: str | os.PathLike, experiment: Experiment, data_dir: str | os.PathLike) -> np.ndarray:
    """The confusion matrix of each picture of an experiment's evaluation, by the newest checkpoint: int32 [P, K, K]."""
    forward = scores.logits_function(load_model(workdir).model)
    split = Split.parse(experiment.evaluation.dataset)
    num_classes, matrices = load_info(split.dataset, data_dir).num_classes, []
    for batch in eval_batches(split.dataset, split.name, data_dir=data_dir):
        classes = scores.predict_classes(forward, batch["image"], experiment.evaluation.views)
        matrices.append(confusion_matrix(batch["labels"], classes, num_classes).numpy())
    return np.stack(matrices).astype(np.int32)


def _write_matrices(folder, matrices):
    stream = io.BytesIO()
    np.savez_compressed(stream, matrices=matrices)
    write_whole(folder / MATRICES_FILE, stream.getvalue())


def _read_matrices(path):
    try:
        with np.load(io.BytesIO(read_whole(path))) as file:
            matrices = file["matrices"]
        if matrices.ndim != 3 or matrices.dtype != np.int32:
            raise ValueError(f"int32 [pictures, K, K] is expected, not {matrices.dtype} {matrices.shape}")
    except (ValueError, KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read ({in_one_line(error)}); remove it, and it is made again") from error
    return matrices


def compare(matrices: Mapping[str, np.ndarray], seeds: Sequence[int]) -> dict[str, Any]:
    """The difference of two variants in points of mIoU, with intervals, and what a pilot has to give.

    Args:
        matrices: [seeds, pictures, K, K] of the first and of the second.
        seeds: of the trainings.

    Returns:
        {"variants", "seeds", "pictures", "miou": percent by variant and seed, "differences" by seed, "difference",
        "interval" over seeds and pictures, which decides, "interval_these_pictures" over seeds alone, "outcome",
        "deviation" over seeds, "picture_deviation", "smallest_found", "seeds_needed"}; the last is None where no number
        of seeds is enough, and both it and what depends on a deviation over seeds for a single seed.
    """
    (first_name, first), (second_name, second) = matrices.items()
    by_seed = paired.differences(first, second)
    of_pictures = paired.bootstrap(first, second, draws=1000, seeds=False)
    low, high = paired.interval(paired.bootstrap(first, second))
    deviation = statistics.stdev(by_seed) if len(seeds) > 1 else None
    picture_deviation = float(np.std(of_pictures, ddof=1))
    cautious = None if deviation is None else deviation * paired.CAUTION.get(len(seeds), 1.0)
    return {
        "variants": [first_name, second_name],
        "seeds": list(seeds),
        "pictures": first.shape[1],
        "miou": {name: (100 * paired.mean_ious(each.sum(axis=1))).tolist() for name, each in matrices.items()},
        "differences": by_seed.tolist(),
        "difference": float(by_seed.mean()),
        "interval": [low, high],
        "interval_these_pictures": list(paired.interval(paired.bootstrap(first, second, pictures=False))),
        "outcome": paired.outcome(low, high),
        "deviation": deviation,
        "picture_deviation": picture_deviation,
        "smallest_found": None
        if deviation is None
        else paired.smallest_found(deviation, picture_deviation, len(seeds)),
        "seeds_needed": None if cautious is None else paired.seeds_needed(cautious, picture_deviation),
    }


def as_markdown(result: Mapping[str, Any]) -> str:
    """The result of `compare` as a table and two lines."""
    first, second = result["variants"]
    lines = [f"| seed | {first} | {second} | difference |", "|---|---|---|---|"]
    rows = zip(result["seeds"], result["miou"][first], result["miou"][second], result["differences"], strict=True)
    lines += [f"| {seed} | {one:.2f} | {other:.2f} | {gap:+.2f} |" for seed, one, other, gap in rows]
    (low, high), (near, far) = result["interval"], result["interval_these_pictures"]
    deviation = "unknown" if result["deviation"] is None else f"{result['deviation']:.2f}"
    return "\n".join([
        *lines,
        "",
        f"{first} − {second}: {result['difference']:+.2f} [{low:+.2f}, {high:+.2f}] points of mIoU on "
        f"{result['pictures']} pictures: {result['outcome']}. On these pictures alone: [{near:+.2f}, {far:+.2f}].",
        "",
        f"Deviation over seeds {deviation}, over pictures {result['picture_deviation']:.2f}; seeds needed for a point: "
        f"{result['seeds_needed'] or 'no number is enough'}.",
    ])  # fmt: skip
