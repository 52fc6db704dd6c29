"""Which column of a file of records holds the pictures, and which the label maps."""

import os
from collections.abc import Sequence

from deeplab_ksac.datasets.info import DatasetError, did_you_mean

USUAL = {
    "image": ("image", "img", "pixel_values", "picture"),
    "label": ("label", "labels", "mask", "segmentation_mask", "annotation", "segmentation", "semantic_segmentation"),
}


def choose(candidates: Sequence[str], wanted: str, what: str, root: str | os.PathLike) -> str:
    """The column to read: the one that is asked for, the only one, or the one of a usual name.

    Args:
        candidates: the columns that could be it.
        wanted: its name, "" where none is asked for.
        what: "image" or "label".
        root: the raw folder, for errors.

    Raises:
        DatasetError: there is no such column, or none at all, or there are several.
    """
    if wanted:
        if wanted not in candidates:
            raise DatasetError(
                f"{root} has no column {wanted!r} of {what}s (--{what}_key); found: {', '.join(candidates) or 'none'}"
                f"{did_you_mean(wanted, candidates)}"
            )
        return wanted
    if not candidates:
        raise DatasetError(f"{root} has no column of encoded pictures that could be the {what}s")
    usual = [name for name in USUAL[what] if name in candidates]
    if len(candidates) == 1 or len(usual) == 1:
        return candidates[0] if len(candidates) == 1 else usual[0]
    raise DatasetError(
        f"{root} has {len(candidates)} columns that may hold the {what}s: {', '.join(candidates)}; name it "
        f"(--{what}_key)"
    )
