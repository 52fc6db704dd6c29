"""Pictures held out for validation, where a raw folder has no split for it."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping

from deeplab_ksac.arguments import check_numbers, check_whole_numbers
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw import Examples

TRAIN, VAL = "train", "val"


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Which pictures become the split val.

    Attributes:
        share: of the pictures, above 0 and below 1.
        seed: other seeds hold out other pictures.
        group: a regular expression that is searched in the ids (path below the split, without extension). What its
            first group matches (all of it where it has none) is held out together, such as the frames of a film:
            r"^(.+)_\\d+$". None: every picture is its own group.

    Raises:
        ValueError: a share, seed or expression that is none.
    """

    share: float
    seed: int = 0
    group: str | None = None

    def __post_init__(self):
        check_numbers("(0, 1)", val_share=self.share)
        check_whole_numbers(0, split_seed=self.seed)
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ValueError(f"split_group={self.group!r} is no regular expression: {error}") from error

    def group_of(self, name: str) -> str | None:
        """The group of the picture with this id; None where the expression does not match."""
        if self.group is None:
            return name
        found = re.search(self.group, name)
        return found and found[1 if found.re.groups else 0]


def hold_out(examples: Mapping[str, Examples], held_out: HeldOut) -> dict[str, Examples]:
    """The splits with `val` taken from `train`; from all of them together where none is called train.

    Groups are in the order of a hash of seed and name, so that neither the order of the files nor the machine counts;
    the first that fit into the share are held out, or the smallest where none fits. Both splits keep the order of the
    pictures. What is missing or left out is that of train.

    Raises:
        DatasetError: there is a split val already, examples of a source of one's own that are no
            `datasets.raw.Examples`, ids that the expression does not match, or one group only.
    """
    if VAL in examples:
        raise DatasetError(f"there is a split {VAL} already ({len(examples[VAL])} images); leave --val_share out")
    others = {split: items for split, items in examples.items() if split != TRAIN}
    for split in [TRAIN] if TRAIN in examples else others:
        if not isinstance(examples[split], Examples):
            raise DatasetError(
                f"the examples of the split {split} are of the type {type(examples[split]).__name__}; pictures are "
                "held out (--val_share) of datasets.raw.Examples, whose ids are known before a picture is read"
            )
    if TRAIN in examples:
        pool = examples[TRAIN]
    else:
        pool, others = Examples.joined(others), {}
    names = [name for name, *_ in pool.entries]
    held = _held(names, held_out)
    train, val = pool.chosen([i for i in range(len(names)) if i not in held]), pool.chosen(sorted(held))
    train.missing, train.left_out = pool.missing, pool.left_out
    return {TRAIN: train, VAL: val, **others}


def _held(names, held_out):
    """Positions of the pictures that are held out."""
    groups, without = {}, []
    for position, name in enumerate(names):
        group = held_out.group_of(name)
        (without if group is None else groups.setdefault(group, [])).append(position)
    if without:
        raise DatasetError(
            f"{len(without)} of {len(names)} images have no group by --split_group={held_out.group}, "
            f"the first {names[without[0]]}"
        )
    if len(groups) < 2:
        what = "image" if held_out.group is None else f"group by --split_group={held_out.group}"
        raise DatasetError(f"{len(names)} images are {len(groups)} {what}: nothing can be held out (--val_share)")
    wanted, held = round(held_out.share * len(names)), set()
    order = sorted(groups, key=lambda group: hashlib.sha256(f"{held_out.seed}/{group}".encode()).digest())
    for group in order[:-1]:  # one stays
        if len(held) + len(groups[group]) <= wanted:
            held.update(groups[group])
    return held or set(groups[min(order, key=lambda group: len(groups[group]))])
