"""A data set at a glance: pictures of each split with their labels below, and how often the classes occur."""

import io
import json
import os
from collections.abc import Sequence

import numpy as np
from matplotlib import axes as matplotlib_axes
from matplotlib import figure
from PIL import Image

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.inspection import Inspection
from deeplab_ksac.datasets.survey import SplitSurvey
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.figures.colors import colorize
from deeplab_ksac.figures.rendering import plain, widest
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import check_file_writable, remove_partial, write_whole

TILE = 160  # pixels on the longer side
COLUMNS = 6
INCH = 100  # pixels
NAMED = 40  # classes of which the names can be read below the bars
NAME_SIZE = 7  # points


def save(inspection: Inspection, path: str | os.PathLike) -> None:
    """Writes the sheet of an inspection to a PNG file, and all that was counted to a JSON file beside it.

    Raises:
        ValueError: the path does not end with .png.
        OSError: a file cannot be written.
    """
    path = require_png(path)
    figures = path.with_suffix(".json")
    remove_partial(path.parent, [path.name, figures.name])
    write_whole(path, draw(inspection.info, inspection.surveys))
    content = json.dumps(inspection.as_json(), indent=1, ensure_ascii=False) + "\n"
    write_whole(figures, content.encode("utf-8", "backslashreplace"))  # a file's name may be no text


def require_png(path: str | os.PathLike) -> Place:
    """The path of a sheet.

    Raises:
        ValueError: it does not end with .png.
        OSError: the sheet, or the file beside it, cannot be written.
    """
    path = place(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"the contact sheet is a .png file, not {path}")
    for file in (path, path.with_suffix(".json")):
        check_file_writable(file)
    return path


def draw(info: DatasetInfo, surveys: Sequence[SplitSurvey]) -> bytes:
    """The sheet as the bytes of a PNG: for each split its samples, then the class frequencies of all."""
    grids = [(survey.split, grid(survey.samples, info)) for survey in surveys if survey.samples]
    heights = [tiles.shape[0] / INCH + 0.3 for _, tiles in grids]
    named = info.class_names if info.num_classes <= NAMED else ()
    bars = 3.2 + max(widest(named, NAME_SIZE) - 1.2, 0)  # short names are below bars of 2 inches
    width = COLUMNS * TILE / INCH
    sheet = figure.Figure(figsize=(width, sum(heights) + bars), dpi=INCH, layout="constrained")
    rows = sheet.subplots(len(grids) + 1, 1, height_ratios=[*heights, bars], squeeze=False)[:, 0]
    for axes, (split, tiles) in zip(rows, grids, strict=False):
        axes.imshow(tiles, interpolation="none")
        axes.set_title(plain(f"{info.name} / {split}"), fontsize=9, loc="left")
        axes.axis("off")
    draw_frequencies(rows[-1], info, surveys)
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_frequencies(axes: matplotlib_axes.Axes, info: DatasetInfo, surveys: Sequence[SplitSurvey]) -> None:
    """Bars with the share of each class among the labeled pixels, on a logarithmic scale."""
    labels, group = np.arange(info.num_classes), 0.8 / len(surveys)
    for number, survey in enumerate(surveys):
        shares = 100 * survey.frequencies[: info.num_classes]
        axes.bar(labels + (number - (len(surveys) - 1) / 2) * group, shares, group, label=survey.split)
    axes.set_yscale("log")
    axes.set_ylabel("% of labeled pixels", fontsize=8)
    axes.tick_params(labelsize=NAME_SIZE)
    if info.num_classes <= NAMED:
        axes.set_xticks(labels, list(map(plain, info.class_names)), rotation=90)
    axes.legend(fontsize=7)


def grid(samples: Sequence[bytes], info: DatasetInfo) -> np.ndarray:
    """Serialized examples as one picture: each image above its labels in color, [h, w, 3] uint8."""
    tiles = [tile(sample, info) for sample in samples]
    columns = min(COLUMNS, len(tiles))
    sheet = np.full((-(-len(tiles) // columns) * 2 * TILE, COLUMNS * TILE, 3), 255, np.uint8)
    for number, pair in enumerate(tiles):
        for below, picture in enumerate(pair):
            top, left = (2 * (number // columns) + below) * TILE, number % columns * TILE
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def tile(sample: bytes, info: DatasetInfo) -> tuple[np.ndarray, np.ndarray]:
    """(image, labels in color) of a serialized example, small: uint8 [h, w, 3] each."""
    parsed = encoding.parse_example(sample)
    image, labels = encoding.decode_image(parsed, info.bands).numpy(), encoding.decode_labels(parsed).numpy()
    scale = (TILE - 4) / max(labels.shape)
    size = tuple(max(1, round(scale * side)) for side in labels.shape[::-1])
    small = Image.fromarray(as_rgb(image, info.bands)).resize(size, Image.Resampling.BOX)
    classes = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    return np.asarray(small), colorize(classes, info.colors)
