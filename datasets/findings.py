"""Warnings and notes about a surveyed data set, as sentences for someone who is about to train on it."""

from collections.abc import Iterable, Sequence

import numpy as np

from deeplab_ksac.datasets.info import IGNORE_LABEL, ConvertedInfo, DatasetInfo
from deeplab_ksac.datasets.survey import SplitSurvey, find_overlaps, find_repeated

SHOWN = 5
MOSTLY_IGNORED = 0.5  # share of the pixels
MANY_SINGLE = 0.2  # share of the masks


def find_warnings(info: DatasetInfo, surveys: Sequence[SplitSurvey]) -> list[str]:
    """What is probably wrong, a list of sentences; empty where nothing is.

    Args:
        info: the `datasets.info.DatasetInfo`.
        surveys: the `datasets.survey.SplitSurvey` of each split.
    """
    found = _about_one_class(info) if any(survey.unlabeled < len(survey.names) for survey in surveys) else []
    for survey in surveys:
        found += _about_the_count(survey)
        if survey.of_other_sizes:
            found.append(
                f"{survey.split}: picture, mask and stated size differ in {_number(survey.of_other_sizes, 'example')}: "
                f"{_list(survey.of_other_sizes)}"
            )
        if survey.unlabeled < len(survey.names):
            found += [*_about_the_labels(info, survey), *_about_the_masks(info, survey)]
        found += _about_repeated(survey)
    for overlap in find_overlaps(surveys):
        found += _about_overlap(overlap)
    return found


def find_useless_labels(info: ConvertedInfo, splits: Iterable[str]) -> list[str]:
    """Sentences on labels from which nothing can be learned, by what conversion counted; empty where there are none."""
    return _about_one_class(info) or [
        f"{info.name}: {_zero_and_ignored(split)}"
        for split in splits
        if info.ignored_pixels.get(split) and info.pixel_counts[split][0] and not any(info.pixel_counts[split][1:])
    ]


def find_notes(info: DatasetInfo, surveys: Sequence[SplitSurvey]) -> list[str]:
    """What is worth knowing and may be as it should, a list of sentences."""
    found = [
        f"split {survey.split} has no labels: every pixel is ignored"
        for survey in surveys
        if survey.unlabeled == len(survey.names)
    ]
    absent = [f"{split} ({count})" for split, count in info.splits.items() if split not in {s.split for s in surveys}]
    if absent:
        found.append(f"not looked at, or not converted (with the official number of images): {', '.join(absent)}")
    for overlap in find_overlaps(surveys):
        first, second = overlap.splits
        if _meant_to_overlap(overlap):
            advice = "do not train on one and test on the other" if "val" in overlap.splits else "train on one of them"
            found.append(f"{first} and {second} share {_number(overlap.same_image, 'image')}: {advice}")
        others = len(overlap.same_id) - len(overlap.same_labels)
        if others:
            found.append(
                f"{others} ids are in {first} and in {second} with different labels: "
                f"right if each split numbers its own pictures"
            )
    return found


def _about_one_class(info):
    if info.num_classes > 1:
        return []
    return [
        f"{info.name} has one class, {info.class_names[0]}: nothing can be told apart, mIoU is 1 for any model; what "
        "is around it is a class too and belongs in the list"
    ]


def _about_the_count(survey):
    if survey.official in (None, len(survey.names)):
        return []
    return [f"split {survey.split} has {len(survey.names)} images, officially {survey.official}"]


def _about_the_labels(info, survey):
    """Classes that never occur, and what their absence looks like."""
    split, names, last = survey.split, info.class_names, info.num_classes - 1
    beyond = [value for value in range(info.num_classes, IGNORE_LABEL) if survey.pixels[value]]
    if beyond:
        yield f"{split}: the labels {_list(map(str, beyond))} lie outside the classes 0…{last}"
    absent = np.flatnonzero(survey.pixels[: info.num_classes] == 0).tolist()
    present = info.num_classes - len(absent)
    if not absent:
        return
    if present == 1 and survey.pixels[0] and survey.pixels[IGNORE_LABEL]:
        yield _zero_and_ignored(split)
    elif present > 1 and absent == [0]:
        yield (
            f"{split}: label 0 ({names[0]}) never occurs and 1…{last} all do: are the labels counted from 1, "
            f"so that each is one too high?"
        )
    elif present > 1 and absent == [last]:
        yield (
            f"{split}: label {last} ({names[last]}) never occurs and 0…{last - 1} all do: is each label one "
            f"too low, or is there a class too many in the list?"
        )
    else:
        yield f"{split}: {named_absent(absent, names)}"


def named_absent(absent: Sequence[int], class_names: Sequence[str]) -> str:
    """ "2 of 5 classes never occur: 3 (car), 4 (dog)", of the labels that do not."""
    listed = _list(f"{label} ({class_names[label]})" for label in absent)
    return f"{len(absent)} of {len(class_names)} classes never occur: {listed}"


def _zero_and_ignored(split):
    return (
        f"{split}: the labels are 0 and 255 only; masks of 0 and 255 mean class 0 and ignored here: "
        f"store the white objects as 1, or convert a folder with --label_map=0:0,255:1"
    )


def _about_the_masks(info, survey):
    """Masks that teach little."""
    labeled = len(survey.names) - survey.unlabeled
    if survey.unlabeled:
        yield f"{survey.split}: {survey.unlabeled} of {len(survey.names)} masks are completely ignored"
    if survey.ignored_share > MOSTLY_IGNORED:
        yield f"{survey.split}: {survey.ignored_share:.1%} of the pixels are ignored"
    single = survey.single_valued.total() if info.num_classes > 1 else 0
    if single > MANY_SINGLE * labeled:
        value, count = survey.single_valued.most_common(1)[0]
        name = info.class_names[value] if value < info.num_classes else "no class"
        yield (
            f"{survey.split}: {single} of {labeled} masks have almost only one value, {count} of them {value} ({name})"
        )


def _about_repeated(survey):
    repeated = find_repeated(survey)
    if repeated:
        yield f"{survey.split}: {_number(repeated, 'image')} are in it more than once: {_list(repeated)}"


def _about_overlap(overlap):
    if _meant_to_overlap(overlap):
        return
    first, second = overlap.splits
    if overlap.same_image:
        yield f"{first} and {second} share {_number(overlap.same_image, 'image')}: {_list(overlap.same_image)}"
    same_image = set(overlap.same_image)
    encoded_anew = [name for name in overlap.same_labels if name not in same_image]
    if encoded_anew:
        yield (
            f"{first} and {second} share {_number(encoded_anew, 'id')} with the same labels, though the bytes of the "
            f"images differ: {_list(encoded_anew)}"
        )


def _meant_to_overlap(overlap):
    """Whether the splits are made to overlap: train, trainval, train_aug and their like."""
    return all(split.startswith("train") for split in overlap.splits) or (
        "trainval" in overlap.splits and "val" in overlap.splits
    )


def _number(names, what):
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''}"


def _list(names):
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
