"""Photographs of cats and dogs with their groups of ImageNet's classes; Pillow and NumPy alone."""

import numpy as np
from PIL import Image

FOLDER = "raw_samples/voc2012/VOCdevkit/VOC2012/JPEGImages"  # of the shared data
GROUPS = {"dog": range(151, 269), "cat": range(281, 286)}  # without the wild ones
PHOTOGRAPHS = {  # VOC's id -> group
    "2007_007878": "cat",
    "2008_004583": "cat",
    "2009_001894": "cat",
    "2009_003241": "dog",
    "2010_001124": "dog",
    "2010_001418": "cat",
    "2010_001563": "dog",
    "2010_002146": "cat",
    "2010_002499": "dog",
}
SIDE = 224  # the size that Lite0 was trained at


def photographs(folder):
    """All of them in order, resized to SIDE × SIDE: [9, SIDE, SIDE, 3] float32, RGB 0…255."""
    pictures = (Image.open(folder / f"{name}.jpg").convert("RGB") for name in PHOTOGRAPHS)
    resized = [picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for picture in pictures]
    return np.stack([np.asarray(picture, np.float32) for picture in resized])
