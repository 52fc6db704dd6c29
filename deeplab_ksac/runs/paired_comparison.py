"""What a study compares: differences by seed, their intervals, what is said of them, and tables (docs/claims.md)."""

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.experiments.claims_on_pictures import Comparison, PairedStudy
from deeplab_ksac.metrics import paired
from deeplab_ksac.runs.counts_files import Counts, read_study_counts
from deeplab_ksac.runs.picture_measures import MEASURES, Measure


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
