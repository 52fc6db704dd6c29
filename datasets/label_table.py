"""The values in official masks -> labels 0…K−1 and 255."""

import os
from collections.abc import Mapping

import numpy as np

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw import read_mask

UNKNOWN = 254  # no data set has that many classes
VALUES = 1 << 16


class LabelTable:
    """What each value of a mask means, as one look-up for all pixels.

    Args:
        labels: {value in the masks, 0…65535: label 0…K−1 or 255}; any other value is an error.
        masks: what the masks are, for errors.

    Raises:
        ValueError: a value or a label out of range.
    """

    def __init__(self, labels: Mapping[int, int], masks: str):
        if not all(0 <= value < VALUES for value in labels):
            raise ValueError(f"values of a mask lie in 0…{VALUES - 1}, not in {min(labels)}…{max(labels)}")
        if not all(0 <= label <= 255 and label != UNKNOWN for label in labels.values()):
            raise ValueError(f"labels lie in 0…255 and are not {UNKNOWN}: {sorted(set(labels.values()))}")
        self.masks = masks
        self.table = np.full(VALUES, UNKNOWN, np.uint8)
        self.table[list(labels)] = list(labels.values())

    def __call__(self, values: np.ndarray, path: str | os.PathLike) -> np.ndarray:
        """Integers (or whole floats, as MATLAB writes them) [H, W] -> uint8 [H, W]; `path` is named in errors.

        Raises:
            DatasetError: values that the table does not have, with their pixel counts.
        """
        indices = values
        if values.dtype not in (np.uint8, np.uint16):
            known = (values == np.floor(values)) & (values >= 0) & (values < VALUES)
            if not known.all():
                self._refuse(values, ~known, path)
            indices = values.astype(np.int64)
        labels = np.take(self.table, indices)
        unknown = labels == UNKNOWN
        if unknown.any():
            self._refuse(values, unknown, path)
        return labels

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """The labels of an image file of indices: uint8 [H, W]."""
        return self(read_mask(path), path)

    def _refuse(self, values, unknown, path):
        found, counts = np.unique(values[unknown], return_counts=True)
        shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(found[:5], counts[:5], strict=True))
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise DatasetError(f"mask {path} has values that {self.masks} do not have: {shown}{more}")
