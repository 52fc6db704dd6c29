"""Finding image and video files, and reading them as RGB whatever they hold, or as other bands that a model takes."""

import dataclasses
import os
from collections.abc import Iterator

import numpy as np

from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.band_pictures import read_bands
from deeplab_ksac.datasets.pixels import DEEP_MODES, TRANSPARENT_MODES, as_stored, opened, require_file, rgb
from deeplab_ksac.datasets.pixels import upright as turned_upright
from deeplab_ksac.prediction.films import VIDEO_SUFFIXES, count_video_frames, read_video
from deeplab_ksac.storage import Place, exists, matching, place, real

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp", *VIDEO_SUFFIXES)
ANIMATED_FORMATS = ("GIF", "PNG", "TIFF", "WEBP")  # MPO's further pictures are previews and other eyes
STRIP_ROWS = 2048


def find_images(places: str) -> list[Place]:
    """The files that a comma-separated list of files, folders and globs names, in order, each once.

    A folder means the images directly in it (by suffix); a glob (`**` crosses folders) means every file it matches.

    Raises:
        FileNotFoundError: for a place that names no file.
    """
    found = {}
    parts = [places] if exists(places) else [part.strip() for part in places.split(",")]
    for part in filter(None, parts):
        for file in _files_at(part):
            found.setdefault(real(file), file)
    if not found:
        raise FileNotFoundError("no image is named")
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image, or one frame of many.

    Attributes:
        pixels: uint8 RGB [H, W, 3], or uint8 or uint16 [H, W, C] of other bands.
        stored_as: what had to become RGB, such as "gray" or "CMYK"; "" for RGB.
        number: of the frame in a video or animation; None for a still image.
    """

    pixels: np.ndarray
    stored_as: str = ""
    number: int | None = None


def read_image(path: str | os.PathLike, *, upright: bool = True) -> np.ndarray:
    """An image file as RGB: uint8 [H, W, 3], upright as its EXIF orientation says, or not, as benchmarks take it.

    It is what `datasets.pixels` says that the file shows; of an animation, the first frame.

    Raises:
        OSError: if the file cannot be read or decoded completely, or has more pixels than Pillow's limit against
            decompression bombs.
        ValueError: for floating-point pixels, and 16 bits with no value above 4095.
    """
    with opened(path) as image:
        return _pixels(image, upright)


def read_pictures(path: str | os.PathLike, *, upright: bool = True, bands: Bands = RGB) -> Iterator[Picture]:
    """Yields the `Picture`s of a file: one of a still image, every frame of a GIF, PNG, TIFF, WebP or video.

    Args:
        path: of the file.
        upright: whether they are turned as their EXIF orientation says.
        bands: that a picture has; of others than RGB one is read of a file, as it is stored.

    Raises:
        OSError, ValueError: as `read_image`, at the frame that cannot be read; or for a video without PyAV. Of other
            bands than RGB as `datasets.band_pictures.read_bands`.
    """
    path = place(path)
    if not bands.is_rgb:
        yield Picture(read_bands(path, bands))
        return
    if path.suffix.lower() in VIDEO_SUFFIXES:
        require_file(path)
        yield from (Picture(pixels, number=number) for number, pixels in enumerate(read_video(path)))
        return
    with opened(path) as image:
        stored_as, frames = _stored_as(image), _count_frames(image)
        first = _pixels(image, upright)
        if frames == 1:
            image.close()  # a large image would be held twice while it is predicted
    yield Picture(first, stored_as, None if frames == 1 else 0)
    if frames > 1:
        with opened(path) as image:
            for number in range(1, frames):
                image.seek(number)
                yield Picture(_pixels(image, upright), stored_as, number)


def count_pixels(path: str | os.PathLike) -> int:
    """The pixels of an image file by its header; 0 for a video. Raises OSError if it is no image."""
    if place(path).suffix.lower() in VIDEO_SUFFIXES:
        return 0
    with opened(path) as image:
        return image.width * image.height


def count_pictures(path: str | os.PathLike) -> int:
    """How many pictures a file says that it holds; 1 where it does not say or cannot be read."""
    suffix = place(path).suffix.lower()
    try:
        require_file(path)
        if suffix in VIDEO_SUFFIXES:
            return count_video_frames(path)
        if suffix not in (".gif", ".tif", ".tiff", ".webp"):
            return 1
        with opened(path) as image:
            return _count_frames(image)
    except (OSError, ValueError):
        return 1


def holds_several(path: str | os.PathLike) -> bool:
    """Whether the pictures of a file are numbered: those of any video, and of an image file that has several."""
    if place(path).suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        with opened(path) as image:
            return _count_frames(image) > 1
    except (OSError, ValueError):
        return False


def _files_at(named):
    """The files of one folder, file or glob; none is a FileNotFoundError."""
    path = place(named)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise FileNotFoundError(f"the folder {named} has no image ({' '.join(SUFFIXES)})")
        return files
    files = [path] if path.exists() else matching(named)
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise FileNotFoundError(f"no file is named {named}")
    return files


def _count_frames(image):
    return getattr(image, "n_frames", 1) if image.format in ANIMATED_FORMATS else 1


def _stored_as(image):
    """How an image differs from 8-bit RGB, such as "gray"; "" for RGB."""
    if image.mode in DEEP_MODES:
        return "16-bit gray"
    if image.mode in ("L", "1"):
        return "gray"
    if image.mode in TRANSPARENT_MODES or "transparency" in image.info:
        return "transparent"
    return "" if image.mode == "RGB" else {"P": "palette"}.get(image.mode, image.mode)


def _pixels(image, upright=True):
    """The pixels of an open image, upright or as they are stored: uint8 RGB [H, W, 3]."""
    shown = rgb(turned_upright(image) if upright else as_stored(image)[0])
    pixels = np.empty([shown.height, shown.width, 3], np.uint8)
    for top in range(0, shown.height, STRIP_ROWS):  # in strips, for Pillow's whole bytes would be a second copy
        bottom = min(top + STRIP_ROWS, shown.height)
        pixels[top:bottom] = np.asarray(shown.crop((0, top, shown.width, bottom)))
    return pixels
