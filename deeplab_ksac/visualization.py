"""Arrays in, pictures out: class colors, overlays, legends, sheets; no model and no global plotting state."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

IGNORE_COLOR = (224, 224, 192)  # PASCAL VOC's color of 255
SHEET_DPI = 100
CELL_INCHES = 3.2
LEGEND_COLUMNS = 6
LEGEND_ROW_INCHES = 0.24


def palette(colors):
    """The colors of all 256 values: [K, 3] -> uint8 [256, 3]; K … 255 (ignored) get `IGNORE_COLOR`."""
    colors = np.asarray(colors, np.uint8).reshape(-1, 3)
    table = np.tile(np.array(IGNORE_COLOR, np.uint8), (256, 1))
    table[: len(colors)] = colors
    return table


def colorize(classes, colors):
    """Classes in their colors: integers 0 … 255 [...] -> uint8 RGB [..., 3]; values ≥ K in `IGNORE_COLOR`."""
    return palette(colors)[np.asarray(classes)]


def overlay(image, classes, colors, opacity=0.5):
    """The classes laid over the image: RGB 0 … 255 [..., 3], integers [...] -> uint8 RGB [..., 3].

    Args:
        image: of any number type.
        classes: values ≥ K (ignored) leave the image as it is.
        colors: [K, 3].
        opacity: 0 (the image alone) … 1 (the colors alone).

    Raises:
        ValueError: for an opacity outside 0 … 1.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in 0 … 1, not {opacity}")
    classes = np.asarray(classes)
    image = np.asarray(image, np.float32)
    weight = np.where(classes < len(colors), np.float32(opacity), np.float32(0))[..., np.newaxis]
    return to_bytes(image + weight * (colorize(classes, colors) - image))


def to_bytes(image):
    """RGB of any number type, 0 … 255 -> uint8, rounded and clipped."""
    return np.clip(np.rint(np.asarray(image, np.float32)), 0, 255).astype(np.uint8)


def index_image(classes, colors):
    """Classes as a Pillow palette image: integers [H, W] -> the class as value, its color in the palette."""
    indexed = Image.fromarray(np.asarray(classes, np.uint8), mode="L")
    indexed.putpalette(palette(colors).tobytes(), "RGB")
    return indexed


def encode_png(image):
    """An array (uint8 [H, W, 3]) or a Pillow image as the bytes of a PNG."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def decode_png(data):
    """The bytes of a picture file as uint8 RGB [H, W, 3]."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def legend(names, colors, *, columns=LEGEND_COLUMNS):
    """Names beside their colors, as a picture of its own: K names, [K, 3] -> uint8 RGB [H, W, 3]."""
    rows = _legend_rows(len(names), columns)
    figure = Figure(figsize=(3 * CELL_INCHES, LEGEND_ROW_INCHES * (rows + 0.5)), dpi=SHEET_DPI)
    figure.legend(handles=class_patches(names, colors), loc="center", ncols=columns, frameon=False, fontsize=8)
    return rendered(figure)


def prediction_sheet(images, labels, predictions, info):
    """What a model sees: one row per image, image | truth | prediction, and the names of the classes below.

    Above each prediction stands the share of the labeled pixels that are right. Named are the classes that
    occur on the sheet.

    Args:
        images: RGB 0 … 255, each [H, W, 3], of any sizes.
        labels: integers [H, W] for each image; values ≥ K are ignored.
        predictions: integers [H, W] for each image.
        info: has `class_names` and `colors`.

    Returns:
        uint8 RGB [h, w, 3].

    Raises:
        ValueError: if there is no image.
    """
    if not len(images):
        raise ValueError("a prediction sheet needs at least one image")
    names, colors = named_classes([*labels, *predictions], info)
    columns = min(LEGEND_COLUMNS, max(len(names), 1))
    heights = [CELL_INCHES * min(np.shape(image)[0] / np.shape(image)[1], 1.5) for image in images]
    bottom = LEGEND_ROW_INCHES * (_legend_rows(len(names), columns) + 0.8)
    figure = Figure(figsize=(3 * CELL_INCHES, sum(heights) + 0.3 * len(images) + bottom), dpi=SHEET_DPI)
    grid = figure.add_gridspec(
        len(images),
        3,
        height_ratios=heights,
        left=0.01,
        right=0.99,
        wspace=0.03,
        hspace=0.3 / np.mean(heights),
        top=1 - 0.25 / figure.get_figheight(),
        bottom=bottom / figure.get_figheight(),
    )
    for row, (image, truth, prediction) in enumerate(zip(images, labels, predictions)):
        _show_row([figure.add_subplot(grid[row, column]) for column in range(3)], image, truth, prediction, info)
    figure.legend(handles=class_patches(names, colors), loc="lower center", ncols=columns, frameon=False, fontsize=8)
    return rendered(figure)


def _show_row(axes, image, truth, prediction, info):
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    labeled = truth < len(info.class_names)
    right = f"{np.mean(prediction[labeled] == truth[labeled]):.1%} right" if labeled.any() else "nothing labeled"
    cells = (
        ("image", to_bytes(image)),
        ("truth", colorize(truth, info.colors)),
        (f"prediction ({right})", colorize(prediction, info.colors)),
    )
    for axis, (title, picture) in zip(axes, cells):
        axis.imshow(picture, interpolation="nearest" if title != "image" else "antialiased")
        axis.set_title(title, fontsize=8, pad=3)
        axis.set_axis_off()


def named_classes(maps, info):
    """(names, colors) of the classes that occur in the maps (integers, any shapes), and of what is ignored."""
    shown = np.unique(np.concatenate([np.unique(array) for array in maps]))
    names = [info.class_names[k] for k in shown if k < len(info.class_names)]
    colors = [info.colors[k] for k in shown if k < len(info.class_names)]
    if shown.size and shown[-1] >= len(info.class_names):
        names, colors = [*names, "(ignored)"], [*colors, IGNORE_COLOR]
    return names, colors


def _legend_rows(count, columns):
    return -(-count // columns)


def class_patches(names, colors):
    """A matplotlib patch for each class, for legends."""
    return [
        Patch(facecolor=np.asarray(color) / 255, edgecolor="gray", linewidth=0.5, label=name)
        for name, color in zip(names, colors)
    ]


def rendered(figure):
    """A matplotlib figure as uint8 RGB [H, W, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
