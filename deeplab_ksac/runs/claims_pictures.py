"""The pictures of the studies of docs/claims.md that rules on their masks select: made of a converted data set."""

import collections
import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.datasets.access import evenly_spread
from deeplab_ksac.datasets.info import INFO_FILE, dataset_dir, load_info
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.datasets.selection import Selected, select_records
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.datasets.whole_folders import is_there
from deeplab_ksac.experiments.claims_on_pictures import ALL, HELD_OUT, LABELED, PairedStudy
from deeplab_ksac.metrics.objects import LEAST_PIXELS, find_objects, lies_inside_another
from deeplab_ksac.runs.picture_measures import VAL

LEAST_PICTURES = 30  # of the training pictures, that have a pair of classes, for it to count
FEW = 200

Pair = tuple[int, int]


def select_pictures(
    study: PairedStudy, data_dir: str | os.PathLike, progress: Callable[..., Any] | None = None
) -> None:
    """Makes what a study needs beside `animals`, where it is not there yet.

    `animals_held_out` has the splits inside (small objects in large ones), unseen (pairs of classes that no training
    picture has), seen (other pairs, of val) and train, which is what is left of `animals/train_aug`. `animals_few` has
    200 labeled pictures, and all of them without labels.

    Args:
        study: whose training pictures are looked at.
        data_dir: where converted data sets are.
        progress: (total, label) -> an object with `update(n)` and `close()`; None shows nothing.

    Raises:
        DatasetError: there is no `animals`, or it cannot be read.
    """
    sources = {source for each in study.variants.values() for source in each.stages[0].data.sources}
    look_at_all = functools.partial(held_out_splits, progress=progress)
    for source, splits in ((HELD_OUT, look_at_all), (LABELED, few_splits)):
        name = Split.parse(source).dataset
        if source in sources and not is_there(dataset_dir(name, data_dir), INFO_FILE):
            select_records(name, data_dir, splits(data_dir))


def few_splits(data_dir: str | os.PathLike) -> dict[str, list[Selected]]:
    """The splits of `animals_few`."""
    which = Split.parse(ALL)
    size = load_info(which.dataset, data_dir).num_examples[which.name]
    return {
        "labeled": [Selected(ALL, evenly_spread(min(FEW, size), size))],
        "unlabeled": [Selected(ALL, range(size), labels=False)],
    }


def held_out_splits(data_dir: str | os.PathLike, progress: Callable | None = None) -> dict[str, list[Selected]]:
    """The splits of `animals_held_out`."""
    train, val = (facts_of(split, data_dir, progress) for split in (ALL, VAL))
    held, kept = held_out_pairs([pairs for pairs, _ in train])
    unseen = {split: [bool(pairs & held) for pairs, _ in facts] for split, facts in ((ALL, train), (VAL, val))}
    inside = {split: [within for _, within in facts] for split, facts in ((ALL, train), (VAL, val))}
    seen = [bool(pairs & kept) and not pairs & held for pairs, _ in val]
    left = [not a and not b for a, b in zip(unseen[ALL], inside[ALL], strict=True)]
    return {
        "train": _where({ALL: left}),
        "inside": _where(inside),
        "unseen": _where(unseen),
        "seen": _where({VAL: seen}),
    }


def _where(chosen: Mapping[str, Sequence[bool]]):
    """Those pictures of each split for which a value is true."""
    return [Selected(split, np.flatnonzero(values)) for split, values in chosen.items()]


def facts_of(
    split: str, data_dir: str | os.PathLike, progress: Callable | None = None
) -> list[tuple[frozenset[Pair], bool]]:
    """Of every picture the pairs of classes that occur together, and whether an object lies inside another."""
    which = Split.parse(split)
    info = load_info(which.dataset, data_dir)
    shown = progress and progress(info.num_examples[which.name], f"masks of {split}")
    facts = []
    for batch in eval_batches(which.dataset, which.name, data_dir=data_dir):
        labels = batch["labels"][0].numpy()
        objects = find_objects(labels, info.num_classes)
        within = any(lies_inside_another(labels, one, info.num_classes) for one in objects)
        facts.append((pairs_of(labels, info.num_classes), within))
        if shown:
            shown.update(1)
    if shown:
        shown.close()
    return facts


def pairs_of(labels: np.ndarray, num_classes: int) -> frozenset[Pair]:
    """The pairs of classes other than the background of which a label map has at least 256 pixels each."""
    counts = np.bincount(labels.ravel(), minlength=num_classes)[:num_classes]
    present = [label for label in range(1, num_classes) if counts[label] >= LEAST_PIXELS]
    return frozenset(itertools.combinations(present, 2))


def held_out_pairs(pictures: Sequence[frozenset[Pair]]) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Of the pairs that at least 30 pictures have, the most frequent first, every second one, and the others."""
    counts = collections.Counter(pair for pairs in pictures for pair in sorted(pairs))
    frequent = [pair for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    frequent = [pair for pair in frequent if counts[pair] >= LEAST_PICTURES]
    return frozenset(frequent[1::2]), frozenset(frequent[::2])
