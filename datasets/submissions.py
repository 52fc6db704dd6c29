"""What the test servers of PASCAL VOC 2012 and Cityscapes take: which images, under which names, with which values."""

import collections
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from deeplab_ksac.datasets import pixels
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.sources import cityscapes, voc2012
from deeplab_ksac.datasets.tables import read_table
from deeplab_ksac.errors import in_one_line

NAMED_AT_MOST = 3


@dataclasses.dataclass(frozen=True)
class Submission:
    """The test set of a benchmark and the form of its predictions.

    Attributes:
        info: of the data set whose classes are predicted.
        entries: root -> (id, image path, …) of the images that are there.
        counts: the official number of images by group.
        group: id -> group.
        path: of a prediction in the archive, with `{id}` and perhaps `{competition}` in it.
        size: (height, width) of every image, or None where they differ.
        values: class -> pixel value, or None where they are the same.
        palette: 256 colors of a palette PNG, or None for a grayscale one.
    """

    info: DatasetInfo
    entries: Callable
    counts: Mapping[str, int]
    group: Callable
    path: str
    size: tuple[int, int] | None = None
    values: tuple[int, ...] | None = None
    palette: tuple | None = None


VOC2012 = Submission(
    info=voc2012.INFO,
    entries=lambda root: voc2012.examples(root, "test").entries,
    counts={"test": voc2012.INFO.splits["test"]},
    group=lambda name: "test",
    path="results/VOC2012/Segmentation/{competition}_test_cls/{id}.png",
    palette=voc_palette(256),
)

CITYSCAPES = Submission(
    info=cityscapes.INFO,
    entries=lambda root: cityscapes.examples(root, "test").entries,
    counts={row["city"]: int(row["frames"]) for row in read_table("cityscapes_cities") if row["split"] == "test"},
    group=lambda name: name.split("_")[0],
    path="{id}_leftImg8bit.png",
    size=(1024, 2048),
    values=tuple(cityscapes.NUMBERS[name] for name in cityscapes.INFO.class_names),
)

SUBMISSIONS = {"voc2012": VOC2012, "cityscapes": CITYSCAPES}
COMPETITIONS = ("comp5", "comp6")  # of VOC: trained on its own images and labels only, or on others too


def submission(benchmark: str) -> Submission:
    """The test set of `SUBMISSIONS` that bears the name of a benchmark.

    Raises:
        DatasetError: another name.
    """
    if benchmark not in SUBMISSIONS:
        raise DatasetError.unknown(f"benchmark {benchmark!r}", benchmark, SUBMISSIONS)
    return SUBMISSIONS[benchmark]


def find_test_images(
    submission: Submission, root: str | os.PathLike, *, competition: str | None = None
) -> list[tuple[str, pathlib.Path]]:
    """The whole test set: a list of (path in the archive, image path).

    Args:
        submission: which benchmark's.
        root: the raw folder.
        competition: of `COMPETITIONS`; None takes the last.

    Raises:
        DatasetError: an id is no plain name; an image is missing, is there without belonging to the test set, or has
            another size.
    """
    competition = competition or COMPETITIONS[-1]
    if competition not in COMPETITIONS:
        raise DatasetError(f"the competition is one of {', '.join(COMPETITIONS)}, not {competition!r}")
    images = {entry[0]: entry[1] for entry in submission.entries(root)}
    strange = [name for name in images if not re.fullmatch(r"\w[\w.-]*", name)]
    if strange:  # it becomes part of a path in the archive
        raise DatasetError(
            f"the test set of {submission.info.name} in {root} has the id {strange[0]!r}; "
            "expected letters, digits, _, - and ., a letter or digit first"
        )
    there = collections.Counter(map(submission.group, images))
    wrong = [
        f"{there[group]} of {group} instead of {submission.counts.get(group, 0)}"
        for group in sorted({*there, *submission.counts})
        if there[group] != submission.counts.get(group, 0)
    ]
    if wrong:
        total = sum(submission.counts.values())
        raise DatasetError(
            f"the test set of {submission.info.name} has {total} images, {root} has {len(images)}: {', '.join(wrong)}"
        )
    if submission.size is not None:
        _check_sizes(images.values(), submission.size)
    return [(submission.path.format(id=name, competition=competition), path) for name, path in images.items()]


def encode_prediction(submission: Submission, classes: np.ndarray) -> bytes:
    """A prediction as its server takes it: integers 0 … K−1 [H, W] -> the bytes of a PNG of that size."""
    values = np.asarray(classes, np.uint8)
    if submission.values is not None:
        values = np.array(submission.values, np.uint8)[values]
    image = Image.fromarray(values, "L")
    if submission.palette is not None:
        image.putpalette(bytes(channel for color in submission.palette for channel in color), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _check_sizes(paths, size):
    wrong = []
    for path in paths:
        try:
            with pixels.opened(path) as image:
                found = pixels.stored_size(image)
        except (OSError, pixels.UnknownRangeError) as error:
            raise DatasetError(f"image {path} cannot be read: {in_one_line(error)}") from error
        if found != size:
            wrong.append(f"{path} has {found[1]}×{found[0]} pixels")
    if wrong:
        more = f" and {len(wrong) - NAMED_AT_MOST} more" if len(wrong) > NAMED_AT_MOST else ""
        raise DatasetError(f"the images must have {size[1]}×{size[0]} pixels; {', '.join(wrong[:NAMED_AT_MOST])}{more}")
