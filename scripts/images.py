"""Finding image files, reading them as RGB whatever they hold, and naming what is made of them."""

import collections
import glob
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def find_images(places):
    """The files that a comma-separated list of files, folders and globs names, in order, each once.

    A folder means the images directly in it (by suffix); a glob (`**` crosses folders) means every file it matches.

    Raises:
        FileNotFoundError: for a place that names no file.
    """
    found = {}
    parts = [places] if os.path.exists(places) else [part.strip() for part in places.split(",")]
    for place in filter(None, parts):
        for file in _files_at(place):
            found.setdefault(file.resolve(), file)
    if not found:
        raise FileNotFoundError("no image is named")
    return list(found.values())


def read_image(path):
    """An image file as RGB: uint8 [H, W, 3], upright as its EXIF orientation says.

    Gray and palette images become RGB; 16-bit gray keeps its high byte; CMYK is converted; transparency is laid on
    white; of an animation it is the first frame.

    Raises:
        OSError: if the file cannot be read or decoded as a whole, or has more pixels than Pillow's limit against
            decompression bombs.
        ValueError: for floating-point pixels.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except OSError:
        raise
    except Exception as error:  # Pillow raises a dozen unrelated types on broken files
        raise OSError(f"{error} ({type(error).__name__})") from error
    return np.array(_rgb(upright))


def distinct_names(paths):
    """A name for each file, without suffix, no two the same (nor on a file system that ignores case).

    The stem where it is alone; else with the folder before it, the suffix behind it, or a number, as needed.
    """
    forms = []
    for number, path in enumerate(paths):
        folder = path.resolve().parent.name
        long = f"{folder}_{path.name}".replace(".", "_")
        forms.append((path.stem, f"{folder}_{path.stem}", long, f"{number}_{path.stem}"))
    level = [0] * len(paths)
    while True:
        names = [form[i] for form, i in zip(forms, level)]
        count = collections.Counter(name.lower() for name in names)
        twice = [i for i, name in enumerate(names) if count[name.lower()] > 1 and level[i] < 3]
        if not twice:
            return names
        for i in twice:
            level[i] += 1


def _files_at(place):
    """The files of one folder, file or glob; none is a FileNotFoundError."""
    path = Path(place)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise FileNotFoundError(f"the folder {place} has no image ({' '.join(SUFFIXES)})")
        return files
    files = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(place, recursive=True))]
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise FileNotFoundError(f"no file is named {place}")
    return files


def _rgb(image):
    """A Pillow image of any mode as RGB."""
    if image.mode in SIXTEEN_BIT_MODES:
        values = np.asarray(image)
        deep = image.mode != "I" or values.max(initial=0) > 255
        return Image.fromarray((np.clip(values, 0, 65535) >> (8 if deep else 0)).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels: the range is unknown; images of 8 or 16 bits are read")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
