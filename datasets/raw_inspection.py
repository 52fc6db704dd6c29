"""A raw folder looked through before conversion: what pairs, which values the masks have, what would be refused."""

import collections
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deeplab_ksac.bands import DEPTHS, Bands
from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.findings import find_notes, find_warnings
from deeplab_ksac.datasets.hold_out import HeldOut
from deeplab_ksac.datasets.info import ConvertedInfo, DatasetError, DatasetInfo
from deeplab_ksac.datasets.inspection import Inspection
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.pictures import ROTATIONS, check_rotation
from deeplab_ksac.datasets.processes import number_of_cores, run_tasks
from deeplab_ksac.datasets.raw import Examples
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.datasets.survey import SplitSurvey, add_batch

AT_ONCE = 16  # examples that a process looks at before it says what it found
VALUES_SHOWN = 12
PROBLEMS_SHOWN = 3


@dataclasses.dataclass
class RawSplit:
    """What was found in one split of a raw folder.

    Attributes:
        name: of the split.
        pairs: pictures that have labels.
        missing: ids of those that have none, or that a list names and that are not there.
        left_out: sentences on files that belong to no example.
        problems: of each example that would be refused, what would be said.
        values: {value or color in the masks: (its pixels, masks that have it)}, before values become labels; empty
            where there are no masks.
    """

    name: str
    pairs: int
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    problems: list[str] = dataclasses.field(default_factory=list)
    values: dict[int | tuple[int, ...], tuple[int, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RawInspection(Inspection):
    """What was found in a raw folder; the surveys are of what can be converted.

    Attributes:
        found: a split each.
        left_out: sentences on files that belong to no split.
    """

    found: tuple[RawSplit, ...] = ()
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """What pairs and what does not, the values in the masks, and then as of a converted data set."""
        lines = [f"{'split':<12} {'pairs':>8} {'missing':>8} {'refused':>8}"]
        lines += [f"{s.name:<12} {s.pairs:>8} {len(s.missing):>8} {len(s.problems):>8}" for s in self.found]
        lines += [line for split in self.found for line in _values(split)]
        lines += [f"left out: {split.name}: {words}" for split in self.found for words in split.left_out]
        lines += [f"left out: {words}" for words in self.left_out]
        if self.surveys:
            return "\n".join([*lines, "", super().text()])
        return "\n".join([*lines, *(f"WARNING: {sentence}" for sentence in self.warnings)])

    def as_json(self) -> dict[str, Any]:
        """All that was counted and found, in types that JSON has."""
        raw = [
            {**dataclasses.asdict(split), "values": {_word(value): counts for value, counts in split.values.items()}}
            for split in self.found
        ]
        return {**super().as_json(), "raw": raw, "left_out": list(self.left_out)}


def inspect_raw(
    name: str,
    root: str | os.PathLike,
    *,
    reading: Reading = AS_IT_IS,
    held_out: HeldOut | None = None,
    rotation: str = ROTATIONS[0],
    splits: Sequence[str] | None = None,
    samples: int = 0,
    processes: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> RawInspection:
    """Reads every example of a raw folder as conversion would, writes nothing, and goes on after what would be refused.

    Args:
        name: as `datasets.records.write_records` takes it.
        root: the raw folder.
        reading: as `datasets.records.write_records` takes it.
        held_out: the same.
        rotation: the same.
        splits: which; None takes all that the folder has.
        samples: examples of each split to keep for `deeplab_ksac.figures.contact_sheet`.
        processes: how many work at once; None takes all cores.
        progress: called as `progress(split, done, total)`.

    Raises:
        ValueError: `rotation` is none of those.
        DatasetError: no such data set or folder, or options that it does not take.
    """
    check_rotation(rotation)
    raw = RawFolder(name, root, reading=reading, held_out=held_out)
    info, warnings = _info_of(raw)
    found, surveys = [], []
    examples = _examples(raw, splits, warnings)
    bands = _bands_of(raw, examples)
    for split, items in examples.items():
        one = RawSplit(split, len(items), *(tuple(getattr(items, name, ())) for name in ("missing", "left_out")))
        known = dataclasses.replace(info or _of_values(split), bands=bands)
        look = functools.partial(_measure, info=known, rotation=rotation)
        survey = _look(raw, look, one, items, samples, processes or number_of_cores(), progress)
        found.append(one)
        surveys += [survey] if survey.names else []
        warnings += _about(one)
    if not found:
        warnings.append(f"{root} holds no split that data set {name} could read")
    left_out = _or_nothing(raw.left_out, warnings)
    info = dataclasses.replace(info or _of_values(raw.source.INFO.name, surveys), bands=bands)
    warnings += find_warnings(info, surveys)
    notes = find_notes(info, surveys)
    return RawInspection(info, tuple(surveys), tuple(warnings), tuple(notes), tuple(found), left_out)


def _info_of(raw):
    """(the `DatasetInfo` or None, what is wrong with the list of classes)."""
    try:
        return ConvertedInfo(**vars(raw.info())), []
    except DatasetError as error:
        return None, [f"the classes are not known: {error}"]


def _bands_of(raw, examples):
    """The bands that all pictures have to have."""
    try:
        return raw.bands(examples)
    except DatasetError:  # the first picture is told of with all others that are refused
        return Bands(raw.channels, DEPTHS[0])


def _of_values(name, surveys=()):
    """A `DatasetInfo` in which every value is a class of its own: up to the last that was counted, or up to 254."""
    last = max((int(survey.pixels[:255].nonzero()[0].max(initial=0)) for survey in surveys), default=254)
    names = tuple(f"value {value}" for value in range(last + 1))
    return ConvertedInfo(**vars(DatasetInfo(name, names, voc_palette(last + 1))))


def _examples(raw, splits, warnings):
    """{split: its examples}, without splits that cannot be found; says which in `warnings`."""
    try:
        return raw.examples(splits)
    except DatasetError as error:
        warnings.append(str(error))
    found = {}
    for split in splits or _or_nothing(raw.find_splits, warnings):
        pairs = _or_nothing(functools.partial(raw.pairs, split), [])
        if isinstance(pairs, Examples):
            found[split] = pairs
    return found


def _or_nothing(find, warnings):
    try:
        return find()
    except DatasetError as error:
        if str(error) not in warnings:
            warnings.append(str(error))
        return ()


def _look(raw, measure, found, items, samples, processes, progress):
    """The `SplitSurvey` of the examples that can be converted; adds the others and the values of masks to `found`."""
    chosen = {i for i in range(len(items)) if (i + 1) * samples // len(items) > i * samples // len(items)}
    survey, results, done = SplitSurvey(found.name, raw.source.INFO.splits.get(found.name)), {}, 0
    tasks = [range(first, min(first + AT_ONCE, len(items))) for first in range(0, len(items), AT_ONCE)]

    def tick():
        nonlocal done
        done += 1
        if progress is not None:
            progress(found.name, done, len(items))

    work = functools.partial(measure, items=items, chosen=chosen, values_of=raw.values_of)
    for task, result in run_tasks(work, tasks, processes=processes, tick=tick):
        results[task] = result
    pixels, masks, image_hashes, label_hashes = collections.Counter(), collections.Counter(), [], []
    for measured, problems, values in map(results.get, tasks):
        found.problems += problems
        pixels.update(values[0])
        masks.update(values[1])
        if measured["name"]:
            add_batch(survey, {**measured, "pixels": np.stack(measured["pixels"])})
            image_hashes += measured["image_hash"]
            label_hashes += measured["label_hash"]
    survey.image_hashes, survey.label_hashes = np.array(image_hashes, np.uint64), np.array(label_hashes, np.uint64)
    found.values.update({value: (pixels[value], masks[value]) for value in sorted(pixels, key=_order)})
    return survey


def _measure(numbers, tick, *, items: Examples, info, rotation, chosen, values_of):
    """({what `datasets.survey.add_batch` takes}, problems, (pixels by value, masks by value)) of some examples."""
    measured, problems = collections.defaultdict(list, {"name": []}), []
    pixels, masks = collections.Counter(), collections.Counter()
    for number in numbers:
        try:
            if values_of is not None:
                values = values_of(items.entries[number][2])
                pixels.update(values)
                masks.update(dict.fromkeys(values, 1))
            serialized, counts = encoding.encode_example(items[number], info, rotation=rotation)
        except DatasetError as error:
            problems.append(str(error))
        else:
            features = tf.train.Example.FromString(serialized).features.feature
            picture, labels = (features[key].bytes_list.value[0] for key in (encoding.IMAGE, encoding.LABELS))
            size = tuple(features[key].int64_list.value[0] for key in (encoding.HEIGHT, encoding.WIDTH))
            one = {
                "name": features[encoding.FILENAME].bytes_list.value[0],
                "format": features[encoding.IMAGE_FORMAT].bytes_list.value[0],
                "size": size,
                "one_size": True,  # else it would have been refused
                "image_hash": _hash(picture),
                "label_hash": _hash(labels),
                "pixels": counts,
                "sample": serialized if number in chosen else b"",
            }
            for key, value in one.items():
                measured[key].append(value)
        tick()
    return dict(measured), problems, (pixels, masks)


def _hash(content):
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _about(split):
    """Sentences on what would keep a split from being converted."""
    if not split.pairs and not split.missing:
        yield f"{split.name} is empty: 0 images"
    if split.missing:
        more = f" and {len(split.missing) - PROBLEMS_SHOWN} more" if len(split.missing) > PROBLEMS_SHOWN else ""
        yield f"{split.name}: {len(split.missing)} missing: {', '.join(split.missing[:PROBLEMS_SHOWN])}{more}"
    if split.problems:
        yield f"{split.name}: {len(split.problems)} of {split.pairs} examples would be refused"
    yield from split.problems[:PROBLEMS_SHOWN]


def _values(split) -> Iterator[str]:
    """A line on the values in a split's masks."""
    if split.values:
        total = sum(pixels for pixels, _ in split.values.values())
        most = sorted(split.values, key=lambda value: -split.values[value][0])[:VALUES_SHOWN]
        words = [
            f"{_word(value)} ({split.values[value][0] / total:.2%} of the pixels, {split.values[value][1]} masks)"
            for value in sorted(most, key=_order)
        ]
        more = f" and {len(split.values) - len(words)} more" if len(split.values) > len(words) else ""
        yield f"values in the masks of {split.name}: {', '.join(words)}{more}"


def _word(value):
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _order(value):
    """Numbers before colors."""
    return isinstance(value, tuple), value
