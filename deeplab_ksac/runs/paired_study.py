"""A study of networks on cached features: paired by seed, with bootstrap intervals (docs/claims.md)."""

import dataclasses
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.experiment import differences, to_dict
from deeplab_ksac.experiments.claims_on_pictures import ALL, VIEWS, Comparison, PairedStudy
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.json_files import check_fields, is_list_of, is_number, read_object
from deeplab_ksac.metrics import paired
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.counts_files import (
    Counts,
    read_counts,
    read_study_counts,
    write_counts,
    write_study_counts,
)
from deeplab_ksac.runs.picture_features import PictureFeatures
from deeplab_ksac.runs.picture_measures import MEASURES, CountingNetwork, Measure, median_sizes
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE, read_experiment
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
        ValueError: the folder holds runs of another configuration; or as `cache_features` and `train`.
        OSError: as they.
    """
    workdir, seconds, counted = pathlib.Path(workdir), [], {variant: [] for variant in study.variants}
    planned = _planned(study, seeds, steps)
    folders = {key: workdir / f"{experiment.name}_seed{experiment.seed}" for key, experiment in planned.items()}
    for key, experiment in planned.items():
        _check(folders[key], with_backbone_weights(experiment, backbone_weights, folders[key]))
    untrained = [key for key in planned if not (folders[key] / COUNTS_FILE).exists()]
    for features, experiment in {planned[key].stages[0].features: planned[key] for key in untrained}.items():
        wanted = {"name": features, "views": VIEWS, "backbone_weights": backbone_weights}
        cache_features(experiment, data_dir=data_dir, **wanted, progress=progress)
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
    files = {ending: workdir / f"{name}{ending}" for ending in (".json", ".md", COUNTS_ENDING)}
    remove_partial(workdir, [path.name for path in files.values()])
    write_study_counts(files[COUNTS_ENDING], seeds, together, [each.measure for each in study.comparisons.values()])
    write_whole(files[".json"], json.dumps(result, indent=1) + "\n")
    write_whole(files[".md"], as_markdown(result) + "\n")
    return result


def compare_recorded(
    study: PairedStudy, path: str | os.PathLike, measures: Mapping[str, Measure] = MEASURES
) -> dict[str, Any]:
    """What `compare` gives for the counts that a study left: without its pictures, features and networks.

    Args:
        study: its comparisons.
        path: the study's <name>_counts.npz.
        measures: by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds other counts.
    """
    seeds, counts = read_study_counts(path, {variant: measures_of(study, variant) for variant in study.variants})
    return compare(study, counts, seeds, measures)


def measures_of(study: PairedStudy, variant: str) -> list[str]:
    """The measures that a study needs of a variant."""
    compared = [each.measure for each in study.comparisons.values() if variant in each.variants]
    return list(dict.fromkeys([*compared, *study.described]))


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


def compare(
    study: PairedStudy, counts: Mapping[str, Counts], seeds: Sequence[int], measures: Mapping[str, Measure] = MEASURES
) -> dict[str, Any]:
    """What a study compares, with intervals, and what a pilot has to give.

    Args:
        study: its comparisons.
        counts: {variant: {measure: [seeds, pictures, scales, …]}}.
        seeds: of the trainings.
        measures: by name.

    Returns:
        {"seeds", "figures": {measure: {variant: figure by seed}}, "comparisons": {name: {"terms", "measure", "primary",
        "pictures", "differences" by seed, "difference", "interval" over seeds and pictures, which decides,
        "interval_these_pictures" over seeds alone, "p", of secondary ones corrected by Holm's method, "outcome",
        "deviation" over seeds, "picture_deviation", "smallest_found", "seeds_needed"}}}; of a single seed the deviation
        and what depends on it are None.
    """
    names = dict.fromkeys(each for variant in study.variants for each in measures_of(study, variant))
    compared = {name: _compared(each, counts, seeds, measures) for name, each in study.comparisons.items()}
    secondary = {name: found["p"] for name, found in compared.items() if not found["primary"]}
    for name, p in paired.holm(secondary).items():
        compared[name]["p"] = p
    for found in compared.values():
        found["outcome"] = paired.outcome(*found["interval"], 0.0 if found["primary"] else found["p"])
    return {
        "seeds": list(seeds),
        "figures": {
            name: {
                variant: measures[name].points(counts[variant][name].sum(axis=1)).tolist()
                for variant in study.variants
                if name in counts[variant]
            }
            for name in names
        },
        "comparisons": compared,
    }


def _compared(comparison: Comparison, counts, seeds, measures):
    """One comparison, but for what follows from the others."""
    points = measures[comparison.measure].points
    terms = [(factor, counts[variant][comparison.measure]) for variant, factor in comparison.variants.items()]
    by_seed, drawn = paired.differences(terms, points), paired.bootstrap(terms, points)
    deviation = statistics.stdev(by_seed) if len(seeds) > 1 else None
    picture_deviation = float(np.std(paired.bootstrap(terms, points, draws=1000, seeds=False), ddof=1))
    cautious = None if deviation is None else deviation * paired.CAUTION.get(len(seeds), 1.0)
    return {
        "terms": dict(comparison.variants),
        "measure": comparison.measure,
        "primary": comparison.primary,
        "pictures": terms[0][1].shape[1],
        "differences": by_seed.tolist(),
        "difference": float(by_seed.mean()),
        "interval": list(paired.interval(drawn)),
        "interval_these_pictures": list(paired.interval(paired.bootstrap(terms, points, pictures=False))),
        "p": paired.p_value(drawn),
        "deviation": deviation,
        "picture_deviation": picture_deviation,
        "smallest_found": None
        if deviation is None
        else paired.smallest_found(deviation, picture_deviation, len(seeds)),
        "seeds_needed": None if cautious is None else paired.seeds_needed(cautious, picture_deviation),
    }


def as_markdown(result: Mapping[str, Any]) -> str:
    """The result of `compare` as two tables: the comparisons, and each figure's mean and deviation over the seeds."""
    lines = [
        "| | difference | measure | pictures | points | these pictures alone | p | outcome |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in result["comparisons"].items():
        (low, high), (near, far) = found["interval"], found["interval_these_pictures"]
        lines.append(
            f"| {name}{' (primary)' * found['primary']} | {_sum(found['terms'])} | {found['measure']} | "
            f"{found['pictures']} | {found['difference']:+.2f} [{low:+.2f}, {high:+.2f}] | [{near:+.2f}, {far:+.2f}] | "
            f"{found['p']:.4f} | {found['outcome']} |"
        )
    lines += ["", "| | deviation over seeds | over pictures | smallest difference found | seeds for a point |"]
    lines += ["|---|---|---|---|---|"]
    for name, found in result["comparisons"].items():
        numbers = (found[key] for key in ("deviation", "picture_deviation", "smallest_found"))
        lines.append(f"| {name} | {' | '.join(map(_number, numbers))} | {found['seeds_needed'] or '—'} |")
    variants = dict.fromkeys(variant for figures in result["figures"].values() for variant in figures)
    lines += ["", f"| {len(result['seeds'])} seeds | {' | '.join(variants)} |", "|---" * (len(variants) + 1) + "|"]
    for measure, figures in result["figures"].items():
        cells = (_spread(figures.get(variant, [])) for variant in variants)
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _sum(terms: Mapping[str, int]) -> str:
    """The terms as a sum, such as "ksac − aspp"."""
    words = "".join(f" {'+' if factor > 0 else '−'} {variant}" for variant, factor in terms.items())
    return words.removeprefix(" + ").strip()


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def _spread(values: Iterable[float]) -> str:
    """Mean ± deviation."""
    values = list(values)
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else ""
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"
