"""The pictures of a run: from files to frames, read ahead, and what became of each."""

import collections
import contextlib
import dataclasses
import errno
import functools
import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.errors import in_one_line, is_input_error, printable
from deeplab_ksac.prediction import images as image_files
from deeplab_ksac.prediction.prefetch import read_ahead
from deeplab_ksac.storage import Place, real

ONE_CLASS = 0.99
NAMED_AT_MOST = 5
OF_A_FRAME = re.compile(r"(.+)_(?:[0-9]{6}|[1-9][0-9]{6,})", re.DOTALL)  # the name of a file, and a frame's number


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture on its way.

    Attributes:
        path: the file it is from.
        name: of what is written of it, without suffix.
        pixels: uint8 RGB [H, W, 3], or uint8 or uint16 [H, W, C] of other bands.
        number: in a video or animation; None for a file that is one picture.
    """

    path: Place
    name: str
    pixels: np.ndarray
    number: int | None = None


class Summary:
    """What happened to the files of a run; told of it by several threads.

    Attributes:
        failures: {path: reason} of the files that could not be read or predicted completely.
        stored_as: {what: paths} of the files that were not RGB and were predicted as RGB.
        count: of the pictures that were predicted.
        class_pixels: how many pixels were predicted as each class, int64 [K].
    """

    def __init__(self, info: DatasetInfo, progress: Any = None):
        self.info, self.progress, self._lock = info, progress, threading.Lock()
        self.failures, self.stored_as, self.count, self._done = {}, {}, 0, 0
        self.class_pixels = np.zeros(len(info.class_names), np.int64)

    def fail(self, path: Place, error: Exception) -> None:
        """A file is left out, or what is left of it; an error that is no input's is raised again."""
        if not (is_input_error(error) or isinstance(error, MemoryError)):
            raise error
        with self._lock:
            self.failures[path] = in_one_line(error)
            self._advance()

    def add(self, classes: np.ndarray) -> None:
        """A picture is predicted."""
        pixels = np.bincount(classes.ravel(), minlength=len(self.class_pixels))
        with self._lock:
            self.class_pixels += pixels
            self.count += 1
            self._advance()

    def lines(self) -> Iterator[str]:
        """What is to be said at the end, line by line."""
        for what, paths in self.stored_as.items():
            names = ", ".join(printable(str(path)) for path in paths[:NAMED_AT_MOST])
            more = f" and {len(paths) - NAMED_AT_MOST} more" if len(paths) > NAMED_AT_MOST else ""
            yield f"read as RGB: {len(paths)} {what} ({names}{more})"
        yield from (f"not predicted: {printable(str(path))}: {reason}" for path, reason in self.failures.items())
        warning = one_class_warning(self.class_pixels, self.info.class_names)
        yield from [warning] if warning else []

    def _advance(self):
        """One more; the lock is held."""
        self._done += 1
        if self.progress is not None:
            self.progress.total = max(self.progress.total, self._done)  # a video may have more than it says
            self.progress.update(1, failed=len(self.failures))


def one_class_warning(class_pixels: Sequence[float], class_names: Sequence[str]) -> str:
    """A sentence where over 99 % of all pixels were predicted as one class, else ""."""
    total = np.sum(class_pixels)
    largest = int(np.argmax(class_pixels))
    if total == 0 or class_pixels[largest] <= ONE_CLASS * total:
        return ""
    return (
        f"warning: {class_pixels[largest] / total:.1%} of all pixels were predicted as {class_names[largest]!r}; "
        "perhaps the model was hardly trained, or on other pictures"
    )


def distinct_names(paths: Sequence[Place]) -> list[str]:
    """A name for each file, without suffix, no two the same (nor on a file system that ignores case).

    The stem where it is alone; else with the folder before it, the suffix behind it, or a number, as needed. No name of
    a single picture is that of another file's frame, which has the frame's number behind it.
    """
    forms = []
    for number, path in enumerate(paths):
        folder = real(path).parent.name
        long = f"{folder}_{path.name}".replace(".", "_")
        forms.append((path.stem, f"{folder}_{path.stem}", long, f"{number}_{path.stem}"))
    level, last = [0] * len(paths), 3
    several = functools.cache(lambda i: image_files.holds_several(paths[i]))
    while True:
        names = [form[i] for form, i in zip(forms, level, strict=True)]
        alike = collections.defaultdict(list)
        for i, name in enumerate(names):
            alike[name.lower()].append(i)
        clashing = {i for files in alike.values() if len(files) > 1 for i in files}
        for name, files in alike.items():
            frame = OF_A_FRAME.fullmatch(name)
            films = [i for i in alike.get(frame[1], ()) if several(i)] if frame else []
            stills = [i for i in files if films and not several(i)]
            if stills:  # one film is named anew sooner than many stills
                clashing.update(stills if any(level[i] == last for i in films) else films)
        lengthened = [i for i in clashing if level[i] < last]
        if not lengthened:
            return names
        for i in lengthened:
            level[i] += 1


def read_frames(
    paths: Sequence[Place], summary: Summary, *, max_pixels: int, upright: bool = True, bands: Bands = RGB
) -> Iterator[Frame]:
    """Yields the `Frame`s of image and video files in order, read ahead; what cannot be read goes to the summary.

    Args:
        paths: of the files.
        summary: collects failures and pictures that were not RGB.
        max_pixels: larger images are not decoded before it is their turn, so that only one is in memory.
        upright: whether photographs are turned by their EXIF orientation.
        bands: of the pictures; of others than RGB the size is not known before they are decoded.
    """

    def begin(path_and_name):
        path, _ = path_and_name
        pictures = image_files.read_pictures(path, upright=upright, bands=bands)
        if bands.is_rgb and image_files.count_pixels(path) > max_pixels:
            return pictures
        return itertools.chain([next(pictures)], pictures)

    for (path, name), begun in read_ahead(zip(paths, distinct_names(paths), strict=True), begin):
        try:
            for picture in begun.result():
                if picture.stored_as and not picture.number:
                    summary.stored_as.setdefault(picture.stored_as, []).append(path)
                number = "" if picture.number is None else f"_{picture.number:06d}"  # as OF_A_FRAME
                yield Frame(path, name + number, picture.pixels, picture.number)
        except Exception as error:
            summary.fail(path, error)


@contextlib.contextmanager
def failures_told(summary: "Summary") -> Iterator[None]:
    """Inside, an `OSError` that ends the run also says which files had failed before."""
    try:
        yield
    except OSError as error:
        if not summary.failures:
            raise
        failed = "; ".join(f"{path}: {reason}" for path, reason in summary.failures.items())
        raise OSError(f"{in_one_line(error)}; before that, not predicted: {failed}") from error


def is_about_the_name(error: OSError) -> bool:
    """Whether one file's name is why it cannot be written, and not the folder or the disk, which concern all."""
    return errno.ENAMETOOLONG in (error.errno, getattr(error.__cause__, "errno", None))


@contextlib.contextmanager
def failing_alone(summary: Summary, path: Place) -> Iterator[None]:
    """Inside, what goes wrong with one file is told to the summary; an `OSError` that concerns all ends the run."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and not is_about_the_name(error):
            raise
        summary.fail(path, error)
