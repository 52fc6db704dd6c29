"""Cityscapes' polygons files -> labelIds, as its makers draw them."""

import json

import numpy as np
from PIL import Image, ImageDraw

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw import one_line


def draw_polygons(path, numbers):
    """The labelIds [H, W] that a `…_polygons.json` describes: 0 is unlabeled, later objects cover earlier ones.

    A group of objects counts as its class ("cargroup" as "car") unless the class list has it; what has no number of
    its own (license plates) stays what it stands on.

    Args:
        path: the file.
        numbers: {class name: its number, −1 for none}.

    Raises:
        DatasetError: the file cannot be read, or names a class that is not in the list.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        size = content["imgWidth"], content["imgHeight"]
        objects = [(o["label"], [tuple(point) for point in o["polygon"]]) for o in content["objects"]]
        canvas = Image.new("L", size, numbers["unlabeled"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read as polygons of Cityscapes: {one_line(error)}") from error
    draw = ImageDraw.Draw(canvas)
    for name, polygon in objects:
        number = numbers.get(name, numbers.get(name.removesuffix("group")))
        if number is None:
            raise DatasetError(f"{path} has an object {name!r}, which is no class of Cityscapes")
        if number >= 0 and len(polygon) > 1:
            draw.polygon(polygon, fill=number)
    return np.asarray(canvas)
