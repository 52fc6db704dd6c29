"""A data set of which some classes are kept and all others are ignored."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from deeplab_ksac.datasets.encoding import check_labels
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo, did_you_mean


def with_classes(info: DatasetInfo, names: Sequence[str]) -> DatasetInfo:
    """What is known of a data set, with these classes for its labels 0…K−1, in this order.

    Raises:
        DatasetError: a class that the data set has not, or one that is named twice; fewer than two classes.
    """
    for name in names:
        if name not in info.class_names:
            raise DatasetError(
                f"{info.name} has no class {name!r}; it has {', '.join(info.class_names)}"
                f"{did_you_mean(name, info.class_names)}"
            )
        if list(names).count(name) > 1:
            raise DatasetError(f"the class {name!r} of {info.name} is named twice")
    if len(names) < 2:
        raise DatasetError(f"a data set needs two classes or more to tell apart, not {', '.join(names) or 'none'}")
    colors = tuple(info.colors[info.class_names.index(name)] for name in names)
    return dataclasses.replace(info, class_names=tuple(names), colors=colors)


class KeptClasses(Sequence):
    """Examples whose labels are those of the classes kept; pixels of the others are 255.

    Args:
        items: examples of the whole data set (`datasets.raw.Examples`, or what a source gives).
        whole: the `DatasetInfo` of their labels.
        kept: the `DatasetInfo` of `with_classes`.
    """

    def __init__(self, items: Sequence[dict[str, Any]], whole: DatasetInfo, kept: DatasetInfo):
        self.items, self.whole = items, whole
        self.table = np.full(256, IGNORE_LABEL, np.uint8)
        self.table[[whole.class_names.index(name) for name in kept.class_names]] = range(kept.num_classes)
        self.missing, self.left_out = getattr(items, "missing", ()), getattr(items, "left_out", ())
        self.read_labels = getattr(items, "read_labels", None)
        if hasattr(items, "entries"):  # with how they are read, what an interrupted conversion is compared by
            self.entries = tuple((*entry, self.table.tobytes()) for entry in items.entries)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.items[index]
        labels = np.asarray(example["label"])
        check_labels(labels, self.whole, example.get("mask", f"of {example['image']}"))
        return {**example, "label": self.table[labels]}
