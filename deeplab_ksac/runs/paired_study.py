"""A study of networks on cached features: trained with the same seeds, and counted by picture (docs/claims.md)."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.arguments import check_distinct
from deeplab_ksac.differences import differences
from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments.claims_on_pictures import ALL, VIEWS, PairedStudy
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.json_files import check_fields, is_list_of, is_number, read_object
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.counts_files import read_counts, write_counts, write_study_counts
from deeplab_ksac.runs.paired_comparison import as_markdown, compare, measures_of
from deeplab_ksac.runs.picture_features import PictureFeatures
from deeplab_ksac.runs.picture_measures import MEASURES, CountingNetwork, Measure, median_sizes
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment
from deeplab_ksac.storage import local
from deeplab_ksac.training.feature_caching import cache_features
from deeplab_ksac.training.initial_weights import with_backbone_weights
from deeplab_ksac.training.loop import train
from deeplab_ksac.whole_files import remove_partial, write_whole

COUNTS_FILE = "picture_counts.npz"  # in the folder of a finished training
COUNTS_ENDING = "_counts.npz"  # of a study's
SIZES_FILE = "median_sizes.json"
PILOT_SEEDS = (1000, 1001, 1002, 1003, 1004)  # the studies use none of them

SIZES = ("numbers", lambda value: is_list_of(value, is_number))


def run_study(
    study: PairedStudy,
    *,
    data_dir: str | os.PathLike,
    workdir: str | os.PathLike,
    seeds: Sequence[int],
    name: str,
    steps: int | None = None,
    backbone_weights: str | None = None,
    measures: Mapping[str, Measure] = MEASURES,
    sizes_of: str = ALL,
    progress: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Caches the features, trains all variants with every seed, counts picture by picture, and compares.

    What was done before is not done again, whichever study of the folder did it. The variants of a seed are trained one
    after the other, so that a study that is stopped has whole seeds. Leaves <name>.json and <name>.md in the folder.

    Args:
        study: networks and comparisons.
        data_dir: where converted data sets are; the features become folders beside them.
        workdir: folder for runs and results, of all studies.
        seeds: one training of each variant for each of them.
        name: of the result.
        steps: optimizer steps (default: the experiments').
        backbone_weights: as `training.loop.train`.
        measures: by name, those that the study names among them.
        sizes_of: "data set/split" whose objects' median sizes say what is small and large.
        progress: as `training.loop.train`.

    Returns:
        What `compare` gives, with "seconds": those of each training that was not interrupted.

    Raises:
        ValueError: a seed is given twice; the folder holds runs of another configuration; or as `cache_features` and
            `train`.
        OSError: as they.
    """
    check_distinct(seeds=seeds)
    workdir, seconds, counted = local(workdir, "the folder of a study"), [], {variant: [] for variant in study.variants}
    planned = _planned(study, seeds, steps)
    folders = {key: workdir / f"{experiment.name}_seed{experiment.seed}" for key, experiment in planned.items()}
    for key, experiment in planned.items():
        _check(folders[key], with_backbone_weights(experiment, backbone_weights, folders[key]))
    untrained = {key: experiment for key, experiment in planned.items() if not (folders[key] / COUNTS_FILE).exists()}
    _cache(untrained.values(), data_dir, backbone_weights, progress)
    for number, (key, experiment) in enumerate(planned.items(), 1):
        folder, shown = folders[key], _named(progress, f"{number} of {len(planned)}: {folders[key].name}")
        if key in untrained:
            fresh, begun = not folder.exists(), time.perf_counter()
            options = {"backbone_weights": backbone_weights, "evaluates": False, "progress": shown}
            train(experiment, data_dir=data_dir, workdir=folder, **options)
            seconds += [time.perf_counter() - begun] if fresh else []
        wanted = {name: measures[name] for name in measures_of(study, key[0])}
        counted[key[0]].append(_counts(folder, wanted, data_dir, workdir, sizes_of, shown))
    together = {
        variant: {each: np.stack([counts[each] for counts in by_seed]) for each in measures_of(study, variant)}
        for variant, by_seed in counted.items()
    }
    result = {**compare(study, together, seeds, measures), "seconds": seconds}
    _write(workdir, name, study, together, result)
    return result


def _cache(experiments, data_dir, backbone_weights, progress):
    """Makes each cache of features that experiments read, once."""
    for features, experiment in {each.stages[0].features: each for each in experiments}.items():
        wanted = {"name": features, "views": VIEWS, "backbone_weights": backbone_weights}
        cache_features(experiment, data_dir=data_dir, **wanted, progress=progress)


def _write(folder, name, study, counts, result):
    """The counts of all networks, the result, and its tables: each file whole or not at all."""
    files = {ending: folder / f"{name}{ending}" for ending in (".json", ".md", COUNTS_ENDING)}
    remove_partial(folder, [path.name for path in files.values()])
    compared = [each.measure for each in study.comparisons.values()]
    write_study_counts(files[COUNTS_ENDING], result["seeds"], counts, compared)
    write_whole(files[".json"], json.dumps(result, indent=1) + "\n")
    write_whole(files[".md"], as_markdown(result) + "\n")


def _planned(study, seeds, steps):
    """{(variant, seed): experiment}, the variants of a seed one after the other."""
    return {
        (variant, seed): dataclasses.replace(
            experiment if steps is None else with_stage(experiment, steps=steps), seed=seed
        )
        for seed in seeds
        for variant, experiment in study.variants.items()
    }


def _named(progress, name):
    """The same progress, with a name in front of its labels."""
    return progress and (lambda total, label, **options: progress(total, f"{name}, {label}", **options))


def _check(folder, experiment):
    """Raises ValueError if the folder holds a run of another configuration, such as one of other steps."""
    if not (folder / EXPERIMENT_FILE).exists():
        return
    changed = differences(to_dict(read_experiment(folder)), to_dict(experiment))
    if changed:
        raise ValueError(f"{folder} holds another run than this study's: {'; '.join(changed)}; take another workdir")


def _counts(folder, measures, data_dir, workdir, sizes_of, progress):
    """The counts of a finished training by measure; those that its file lacks are counted and written there."""
    path = folder / COUNTS_FILE
    known = read_counts(path) if path.exists() else {}
    missing = {name: measure for name, measure in measures.items() if name not in known}
    if missing:
        model = load_model(folder).model
        features = PictureFeatures(workdir / "picture_features", model, data_dir, progress)
        network = CountingNetwork(model, features, _median_sizes(workdir, sizes_of, data_dir))
        known |= network.counts(missing)
        write_counts(path, known)
    return known


def _median_sizes(workdir, split, data_dir):
    """Those of a split's objects, looked for once."""
    path = workdir / SIZES_FILE
    if not path.exists():
        write_whole(path, json.dumps({split: median_sizes(split, data_dir).tolist()}) + "\n")
    fields = read_object(path)
    check_fields(path, fields, {split: SIZES}, {})
    return np.array(fields[split])
